/* What is pinned: one network whole, or what differs between two. */
function drawPins() {
  const place = byId("pinned"), pinned = choice.pins.map((id) => networks.get(id));
  place.hidden = !pinned.length;
  if (!pinned.length) { place.replaceChildren(); return; }
  place.replaceChildren(...(pinned.length === 1 ? onePinned(pinned[0]) : comparison(...pinned)));
}

function unpinButton(network) {
  const button = make("button", { type: "button", class: "unpin", "aria-label": `unpin trial ${network.id}` }, "unpin");
  button.addEventListener("click", () => { togglePin(network.id); (byId("pinned").querySelector("button") || byId("plot")).focus({ preventScroll: true }); });
  return button;
}

const heading = (letter, network) => make("p", { class: "pin-title" }, make("span", { class: "letter", "aria-hidden": "true" }, letter),
  make("b", {}, `Trial ${network.id}`), ` ${kindOf(network)} `, unpinButton(network));

function drawingBox(network) {
  const drawn = drawingOf(network.id);
  if (drawn) return make("div", { class: "drawing scroll", tabindex: "0", role: "region", "aria-label": `Drawing of trial ${network.id}` }, drawn);
  return make("p", { class: "hint" }, "This one is not among the networks drawn on this page; its export holds everything.");
}

function onePinned(network) {
  const about = make("div", { class: "about" }, metricList(network), make("h4", {}, "Take it home"), commandLine(network.id),
    make("h4", {}, "Decisions"), decisionList(network.decisions()));
  return [heading("A", network), make("div", { class: "network" }, about, drawingBox(network)),
    make("p", { class: "hint" }, "Pin a second network to see what differs.")];
}

function comparison(one, two) {
  const title = make("h3", {}, "What differs");
  return [title, make("div", { class: "both" }, make("div", {}, heading("A", one), commandLine(one.id)), make("div", {}, heading("B", two), commandLine(two.id))),
    make("div", { class: "differences" }, metricTable(one, two), decisionTable(one, two)),
    make("div", { class: "both" }, make("div", {}, make("h4", {}, `A: trial ${one.id}`), drawingBox(one)), make("div", {}, make("h4", {}, `B: trial ${two.id}`), drawingBox(two)))];
}

const headsOf = (...names) => make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));

/* Numbers side by side; the difference says which way is better where it is a goal. */
function metricTable(one, two) {
  const row = (axis, title, a, b) => {
    const there = a !== null && a !== undefined && b !== null && b !== undefined;
    const better = there && axis.direction && a !== b ? ((b > a) === (axis.direction === "max") ? "better" : "worse") : "";
    const ratio = there && axis.unit !== "%" && a > 0 && b > 0 && a !== b ? ` (${(b / a >= 10 ? (b / a).toFixed(0) : (b / a).toPrecision(2))} ×)` : "";
    const difference = !there ? "" : a === b ? "equal" : written(axis, b - a, true) + ratio;
    return make("tr", {}, make("th", { scope: "row" }, title), make("td", {}, written(axis, a)), make("td", {}, written(axis, b)),
      make("td", { class: better }, difference, better ? make("small", {}, ` ${better}`) : null));
  };
  const [again, other] = [REPORT.retrained[one.id] || {}, REPORT.retrained[two.id] || {}];
  const rows = metrics.map((axis) => row(axis, axis.name, one.value(axis.name), two.value(axis.name)));
  for (const name of Object.keys({ ...again, ...other })) {
    const axis = { ...(axisOf(name) || { direction: "" }), unit: REPORT.units[name] };
    rows.push(row(axis, `${name}, retrained`, again[name], other[name]));
  }
  return make("div", { class: "scroll" }, make("table", { class: "metrics" }, headsOf("", "A", "B", "B beside A"), make("tbody", {}, ...rows)));
}

/* Decisions that are not the same in both, in the order of the space; the equal ones are folded away. */
function decisionTable(one, two) {
  const [a, b] = [new Map(one.decisions()), new Map(two.decisions())];
  const addresses = [...a.keys()];
  let behind = 0; // what only B has stands behind what it follows there, and behind what only A has there
  for (const address of b.keys()) {
    const place = addresses.indexOf(address);
    if (place >= 0) for (behind = place + 1; behind < addresses.length && !b.has(addresses[behind]);) behind++;
    else addresses.splice(behind++, 0, address);
  }
  const differing = addresses.filter((address) => a.get(address) !== b.get(address)), equal = addresses.filter((address) => a.get(address) === b.get(address));
  const cell = (decisions, address) => decisions.has(address) ? make("td", {}, decisions.get(address)) : make("td", { class: "absent" }, "not there");
  const rows = differing.map((address) => make("tr", {}, make("th", { scope: "row" }, ...breakable(address)), cell(a, address), cell(b, address)));
  const table = rows.length ? make("table", { class: "decided" }, headsOf("decision", "A", "B"), make("tbody", {}, ...rows))
    : make("p", { class: "hint" }, "All decisions are the same.");
  const folded = equal.length ? make("details", {}, make("summary", {}, `${equal.length} decision${equal.length === 1 ? " is" : "s are"} the same in both`),
    decisionList(equal.map((address) => [address, a.get(address)]))) : null;
  return make("div", { class: "scroll" }, table, folded || "");
}

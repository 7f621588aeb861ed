/* One network in short: the panel beside the pointer. */
const SHORT = 14;

/* An address may go on in the next line behind a slash. */
const breakable = (address) => address.split(/(?<=\/)/).flatMap((part) => [part, make("wbr")]);


function decisionList(pairs, most = Infinity) {
  const list = make("dl", { class: "decisions" });
  for (const [address, option] of pairs.slice(0, most)) list.append(make("dt", {}, ...breakable(address)), make("dd", {}, option));
  if (pairs.length > most) list.append(make("dt", { class: "more" }, `and ${pairs.length - most} more`), make("dd", {}));
  return list;
}

function metricList(network, names = metrics) {
  const list = make("dl", {});
  for (const axis of names) {
    const value = network.value(axis.name);
    if (value !== null && value !== undefined) list.append(make("dt", {}, axis.name), make("dd", {}, written(axis, value)));
  }
  return list;
}

/* Show the panel of a network at a place of the window, on the side where there is room. */
function showPanel(network, left, top) {
  const panel = byId("panel"), drawn = drawingOf(network.id);
  const chosen = [choice.y, choice.x, choice.c, ...plot.goals], first = metrics.filter((axis) => chosen.includes(axis.name));
  panel.replaceChildren(make("p", { class: "panel-title" }, make("b", {}, `Trial ${network.id}`), ` ${kindOf(network)}`), metricList(network, first));
  if (drawn) {
    drawn.removeAttribute("role");
    drawn.setAttribute("aria-hidden", "true");
    panel.append(make("div", { class: "thumb" }, drawn));
  }
  panel.append(decisionList(network.decisions(), drawn ? SHORT : SHORT + 6));
  panel.hidden = false;
  const box = panel.getBoundingClientRect(), gap = 18;
  const x = left + gap + box.width <= innerWidth ? left + gap : Math.max(left - gap - box.width, 4);
  const y = Math.min(Math.max(top - box.height / 3, 4), Math.max(innerHeight - box.height - 4, 4));
  panel.style.left = x + "px";
  panel.style.top = y + "px";
}

function hidePanel() { byId("panel").hidden = true; }

/* The rows of a table of layers, made when its fold is opened: there are many. */
function fillLayers(fold) {
  if (fold.querySelector("table")) return;
  const layers = REPORT.layers[fold.dataset.trial];
  const body = make("tbody", {}, ...layers.rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))));
  const head = make("thead", {}, make("tr", {}, ...layers.heads.map((name) => make("th", { scope: "col" }, name))));
  fold.append(make("div", { class: "scroll" }, make("table", {}, head, body)));
}

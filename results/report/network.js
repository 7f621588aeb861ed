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
/* keyboard: the card goes below the plot where there is room, so that the next points stay in sight. */
function showPanel(network, left, top, keyboard = false) {
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
  const [x, y] = placeOf(panel.getBoundingClientRect(), byId("plot").getBoundingClientRect(), left, top, keyboard);
  panel.style.left = x + "px";
  panel.style.top = y + "px";
}

/* Where a card about a point goes: below the plot, or at the plot's far side, away from the point and those near it. */
function placeOf(box, around, left, top, keyboard) {
  const gap = 18, within = (at, size, room) => Math.min(Math.max(at, 4), Math.max(room - size - 4, 4));
  if (keyboard && around.bottom + 4 + box.height <= innerHeight) return [within(left - box.width / 2, box.width, innerWidth), around.bottom + 4];
  const far = within(left < (around.left + around.right) / 2 ? around.right - box.width : around.left, box.width, innerWidth);
  const clear = far >= left + gap || far + box.width <= left - gap;
  const near = left + gap + box.width <= innerWidth ? left + gap : Math.max(left - gap - box.width, 4);
  return [clear ? far : near, within(top - box.height / 3, box.height, innerHeight)];
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

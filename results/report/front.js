/* The plot of the front: axes, marks, constraints, pins, and walking along it with the keyboard. */
let current = null; // the trial that the keyboard or the pointer is at
const CROWDED = 150; // points from which on rims would hide their neighbours

/* The part of Cividis, which colour-blind readers can tell apart, that stands out from the page. */
const LIGHT_SCALE = [[0, "#00224e"], [0.35, "#4a546d"], [0.7, "#8f8a77"], [1, "#d3b955"]];
const DARK_SCALE = [[0, "#5d6b95"], [0.35, "#8b8c84"], [0.7, "#c3b265"], [1, "#fee838"]];
let firstRange = null; // axis ranges before any zoom, as plotly takes them

function axisLayout(each, range) {
  const wanted = each.direction === "max" ? "  (more is better)" : each.direction === "min" ? "  (less is better)" : "";
  const decades = each.log ? range[1] - range[0] : 0;
  return {
    title: { text: plain(each.label) + wanted, standoff: 8, font: { size: 13 } }, type: each.log ? "log" : "linear", color: colour("soft"),
    gridcolor: colour("line"), zeroline: false, automargin: true, exponentformat: "SI", range: [...range], autorange: false,
    dtick: each.log && decades > 0.5 ? (decades < 3.2 ? "D2" : Math.ceil(decades / 8)) : undefined,
    tickformat: each.log ? (range[0] > 1.5 ? "~s" : "~g") : undefined,
  };
}

/* plotly reads some tags in its texts. */
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function baseLayout() {
  return { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: FONT, size: 13, color: colour("ink") }, showlegend: false };
}

/* A value as it is drawn: beyond this plotly's differences would be no numbers any more. */
const drawable = (value) => value === null || value === undefined ? value : Math.min(Math.max(value, -1e300), 1e300);

/* The range of an axis: all that is there, and a bound where one is near. */
function rangeOf(axis) {
  const scale = axis.log ? Math.log10 : (value) => value;
  let low = Infinity, high = -Infinity;
  const widen = (value) => { low = Math.min(low, value); high = Math.max(high, value); };
  for (const network of networks.values()) {
    const value = network.value(axis.name);
    if (value !== null && value !== undefined) widen(scale(drawable(value)));
  }
  if (!(high > low)) { const half = Math.abs(low) * 0.1 || 1; low -= half; high += half; }
  for (const each of plot.constraints.filter((one) => one.name === axis.name)) {
    if (axis.log && each.bound <= 0) continue;
    const at = scale(each.bound), span = high - low;
    if (at > low - 0.5 * span && at < high + 0.5 * span) widen(at + (each.most ? 0.05 : -0.05) * span);
  }
  const edge = 0.04 * (high - low);
  return [low - edge, high + edge];
}

/* What constraints forbid, as shaded regions, each named at its border. */
function forbidden(x, y) {
  const shapes = [], notes = [];
  for (const each of plot.constraints) {
    for (const [side, name] of [["x", x], ["y", y]]) {
      const axis = axisOf(name);
      if (each.name !== name || (axis.log && each.bound <= 0)) continue;
      const span = (name === x ? firstRange.x : firstRange.y), far = 50 * (span[1] - span[0]);
      const beyond = axis.log ? each.bound * 10 ** (each.most ? 20 : -20) : each.bound + (each.most ? far : -far);
      const other = side === "x" ? "y" : "x";
      const across = { [side + "ref"]: side, [other + "ref"]: "paper", [other + "0"]: 0, [other + "1"]: 1 };
      shapes.push({ type: "rect", ...across, [side + "0"]: each.bound, [side + "1"]: beyond, fillcolor: colour("forbidden"), line: { width: 0 }, layer: "below" });
      shapes.push({ type: "line", ...across, [side + "0"]: each.bound, [side + "1"]: each.bound, line: { color: colour("bound"), width: 1.5, dash: "dash" } });
      const at = axis.log ? Math.log10(each.bound) : each.bound;
      notes.push({
        text: plain(each.text), showarrow: false, font: { size: 12, color: colour("bound") },
        ...(side === "x" ? { xref: "x", x: at, yref: "paper", y: 1, yanchor: "bottom", xanchor: each.most ? "right" : "left" }
          : { yref: "y", y: at, xref: "paper", x: 1, xanchor: "right", yanchor: each.most ? "top" : "bottom" }),
      });
    }
  }
  return { shapes, notes };
}

/* The line along the front: a staircase between its points, where both axes are goals and there are no others. */
function staircase(seen, x, y) {
  const ax = axisOf(x), ay = axisOf(y);
  if (plot.goals.length !== 2 || x === y || !ax.direction || !ay.direction) return [];
  const steps = seen.filter((network) => network.front).sort((a, b) => a.value(x) - b.value(x));
  return [{
    x: steps.map((network) => drawable(network.value(x))), y: steps.map((network) => drawable(network.value(y))), mode: "lines", hoverinfo: "skip",
    line: { color: colour("front"), width: 1.5, shape: ax.direction === "min" ? "hv" : "vh" }, opacity: 0.55,
  }];
}

function trace(points, marker) {
  return {
    x: points.map((network) => drawable(network.value(choice.x))), y: points.map((network) => drawable(network.value(choice.y))), mode: "markers",
    customdata: points.map((network) => network.id), hoverinfo: "none", marker, cliponaxis: true,
  };
}

function largeTrace(seen, front, retrained) {
  const points = seen.filter((network) => network.kind === "large" && network.front === front && network.retrained === retrained);
  const scale = choice.c && { color: points.map((network) => network.value(choice.c)), coloraxis: "coloraxis" };
  return trace(points, {
    size: retrained ? 16 : points.length > CROWDED ? 6 : 11, symbol: retrained ? "star" : "circle", opacity: 1,
    color: colour(front ? "front" : "faint"), line: { width: points.length > CROWDED ? 0 : 1.2, color: colour("page") }, ...(scale || {}),
  });
}

/* Rings around what is pinned and what is current, diamonds around what is suggested. */
function ringTraces(sees) {
  const named = REPORT.suggestions.map((each) => networks.get(each.trial)).filter((network) => network && sees(network));
  const pinned = choice.pins.map((id) => networks.get(id));
  const here = current !== null && networks.has(current) ? [networks.get(current)] : [];
  const ring = (points, symbol, size, colour_, width) => ({
    ...trace(points, { symbol, size, color: colour_, line: { width, color: colour_ } }), hoverinfo: "skip",
  });
  const letters = { ...ring(pinned, "circle-open", 21, colour("accent"), 2.5), mode: "markers+text", text: pinned.map((_, place) => "AB"[place]),
    textposition: "top center", textfont: { size: 14, color: colour("accent"), weight: 700 } };
  return [ring(named, "diamond-open", 20, colour("accent"), 1.3), letters, ring(here, "circle-open", 26, colour("ink"), 1.5)];
}

function drawFront() {
  if (!window.Plotly || !byId("plot")) return;
  const sees = seer(), seen = [...networks.values()].filter(sees), { x, y, c } = choice;
  firstRange = { x: rangeOf(axisOf(x)), y: rangeOf(axisOf(y)) };
  const faint = seen.filter((network) => network.kind === "faint");
  const traces = [
    trace(faint, {
      size: faint.map((network) => Math.min(5 + 1.1 * Math.log2(network.count), 14)), color: colour("faint"), line: { width: 0 },
      opacity: faint.length > 800 ? 0.4 : 0.6,
    }),
    ...staircase(seen, x, y), largeTrace(seen, false, true), largeTrace(seen, true, false), largeTrace(seen, true, true), ...ringTraces(sees),
  ];
  const narrow = byId("plot").clientWidth < 620, bounds = forbidden(x, y);
  const range = choice.range && choice.range.drawn ? choice.range.drawn : firstRange;
  Plotly.react("plot", traces, {
    ...baseLayout(), xaxis: axisLayout(axisOf(x), range.x), yaxis: axisLayout(axisOf(y), range.y), shapes: bounds.shapes, annotations: bounds.notes,
    margin: { l: 10, r: 14, t: 24, b: 10 }, hovermode: "closest", hoverdistance: 14, dragmode: narrow ? false : "zoom",
    coloraxis: c ? {
      colorscale: dark.matches ? DARK_SCALE : LIGHT_SCALE, colorbar: {
        title: { text: plain(axisOf(c).label), side: "right", font: { size: 13 } }, thickness: 12, outlinewidth: 0,
        tickfont: { color: colour("soft") }, exponentformat: "SI",
      },
    } : undefined,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("accent") },
  }, {
    responsive: true, displaylogo: false, showTips: false, displayModeBar: narrow ? false : "hover", doubleClick: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "resetScale2d"],
  });
  listen();
}

function listen() {
  const element = byId("plot");
  if (element.dataset.listens) return;
  element.dataset.listens = "yes";
  element.on("plotly_hover", (event) => {
    const id = event.points[0].customdata, pointer = event.event;
    if (id !== undefined && !matchMedia("(hover: none)").matches) showPanel(networks.get(id), pointer.clientX, pointer.clientY);
  });
  element.on("plotly_unhover", hidePanel);
  element.on("plotly_click", (event) => { if (event.points[0].customdata !== undefined) togglePin(event.points[0].customdata); });
  element.on("plotly_doubleclick", () => choose({ range: null }));
  element.on("plotly_relayout", (change) => {
    if (!Object.keys(change).some((name) => name.startsWith("xaxis.") || name.startsWith("yaxis."))) return;
    const drawn = { x: [...element.layout.xaxis.range], y: [...element.layout.yaxis.range] };
    const number = (side, name) => drawn[side].map((value) => axisOf(name).log ? 10 ** value : value).sort((a, b) => a - b);
    choose({ range: { drawn, x: number("x", choice.x), y: number("y", choice.y) } });
  });
}

/* The front from left to right, as the keyboard walks along it. */
function walk() {
  const sees = seer();
  return [...networks.values()].filter((network) => network.kind === "large" && sees(network) && inRange(network))
    .sort((a, b) => a.value(choice.x) - b.value(choice.x) || a.value(choice.y) - b.value(choice.y));
}

function moveTo(id, panel = true) {
  current = id;
  drawFront();
  if (id === null) { hidePanel(); return; }
  const network = networks.get(id), element = byId("plot"), layout = element._fullLayout, box = element.getBoundingClientRect();
  say(`trial ${id}, ${kindOf(network)}: ` + [choice.y, choice.x].map((name) => `${name} ${written(axisOf(name), network.value(name))}`).join(", "));
  if (panel && layout) {
    const at = (axis, value) => axis.d2p(value) + axis._offset;
    showPanel(network, box.left + at(layout.xaxis, drawable(network.value(choice.x))), box.top + at(layout.yaxis, drawable(network.value(choice.y))), true);
  }
}

function onPlotKey(event) {
  const way = walk(), place = way.findIndex((network) => network.id === current);
  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
  let to = null;
  if (event.key in steps) to = place < 0 ? (steps[event.key] > 0 ? 0 : way.length - 1) : Math.min(Math.max(place + steps[event.key], 0), way.length - 1);
  else if (event.key === "Home") to = 0;
  else if (event.key === "End") to = way.length - 1;
  else if ((event.key === "Enter" || event.key === " ") && current !== null) togglePin(current);
  else if (event.key === "Escape") { unpinAll(); moveTo(null); } else return;
  event.preventDefault();
  if (to !== null && way.length) moveTo(way[to].id);
}

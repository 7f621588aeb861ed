"use strict";
const plot = REPORT.plot;
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const FONT = { family: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", size: 13 };

function values(points, name) {
  return name === "trial" ? points.id : points.metrics[name];
}

function axis(name) {
  return plot.axes.find((each) => each.name === name);
}

function axisLayout(each) {
  const wanted = each.direction === "max" ? "  (more is better)" : each.direction === "min" ? "  (less is better)" : "";
  return {
    title: { text: each.label + wanted, standoff: 8, font: { size: 13 } }, type: each.log ? "log" : "linear", color: colour("soft"),
    gridcolor: colour("line"), zeroline: false, automargin: true, exponentformat: "SI", dtick: each.log ? undefined : null,
    minor: each.log ? { ticks: "inside", ticklen: 3, tickcolor: colour("line") } : undefined,
  };
}

function baseLayout() {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { ...FONT, color: colour("ink") },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { ...FONT, size: 12, color: colour("ink") }, align: "left" },
  };
}

const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\n/g, "<br>");

function faintHover(place) {
  const names = plot.axes.map((each) => each.name).filter((name) => name !== "trial");
  const lines = names.map((name) => [name, plot.faint.metrics[name][place]]).filter((pair) => pair[1] !== null);
  return escaped(["trial " + plot.faint.id[place] + " (dominated)"].concat(lines.map((pair) => pair.join(": "))).join("\n"));
}

/* The line along the front: a staircase between its points, where both axes are goals and there are no others. */
function staircase(x, y) {
  const ax = axis(x), ay = axis(y);
  if (plot.goals.length !== 2 || x === y || !ax.direction || !ay.direction) return null;
  const xs = values(plot.large, x), ys = values(plot.large, y);
  const order = xs.map((_, place) => place).filter((place) => plot.large.front[place]).sort((a, b) => xs[a] - xs[b]);
  return {
    x: order.map((place) => xs[place]), y: order.map((place) => ys[place]), mode: "lines", hoverinfo: "skip",
    line: { color: colour("front"), width: 1.5, shape: ax.direction === "min" ? "hv" : "vh" }, opacity: 0.55, showlegend: false,
  };
}

/* Large points of one kind: on the front or behind it, retrained or not. */
function largeTrace(x, y, c, front, retrained, name) {
  const places = plot.large.id.map((_, place) => place)
    .filter((place) => plot.large.front[place] === front && plot.large.retrained[place] === retrained);
  const pick = (list) => places.map((place) => list[place]);
  const scale = c && { color: pick(values(plot.large, c)), coloraxis: "coloraxis" };
  return {
    x: pick(values(plot.large, x)), y: pick(values(plot.large, y)), mode: "markers", customdata: pick(plot.large.id),
    name, text: pick(plot.large.hover).map(escaped), hovertemplate: "%{text}<extra></extra>",
    marker: {
      size: retrained ? 15 : 11, symbol: retrained ? "star" : "circle", opacity: 1, color: colour(front ? "front" : "faint"),
      line: { width: 1.2, color: colour("page") }, ...(scale || {}),
    },
  };
}

function drawFront() {
  const [x, y, c] = ["axis-x", "axis-y", "axis-c"].map((id) => byId(id).value);
  const faint = {
    x: values(plot.faint, x), y: values(plot.faint, y), mode: "markers", name: "dominated",
    customdata: plot.faint.id, text: plot.faint.id.map((_, place) => faintHover(place)), hovertemplate: "%{text}<extra></extra>",
    marker: { size: 5, color: colour("faint"), opacity: plot.faint.id.length > 800 ? 0.35 : 0.6 },
  };
  const traces = [faint, staircase(x, y), largeTrace(x, y, c, false, true, "retrained, behind the front"),
    largeTrace(x, y, c, true, false, "front"), largeTrace(x, y, c, true, true, "front, retrained and tested")]
    .filter((trace) => trace && trace.x.length);
  const narrow = byId("plot").clientWidth < 620;
  const layout = {
    ...baseLayout(), xaxis: axisLayout(axis(x)), yaxis: axisLayout(axis(y)), margin: { l: 10, r: 10, t: 34, b: 10 },
    showlegend: true, legend: { orientation: "h", y: 1, yanchor: "bottom", x: 0, font: { size: narrow ? 11 : 12.5 } },
    hovermode: "closest", dragmode: narrow ? false : "zoom",
    coloraxis: c ? { colorscale: "Cividis", colorbar: { title: { text: axis(c).label, side: "right", font: { size: 13 } }, thickness: 12,
      outlinewidth: 0, tickfont: { color: colour("soft") } } } : undefined,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("faint"), activecolor: colour("accent") },
  };
  Plotly.react("plot", traces, layout, {
    responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d"],
  });
}

function show(trial) {
  document.querySelectorAll(".card.shown").forEach((card) => card.classList.remove("shown"));
  const card = byId("trial-" + trial);
  byId("picked").hidden = false;
  byId("picked-text").textContent = "Trial " + trial + (plot.faint.id.includes(trial) ? " (dominated)" : "") + ", taken home:";
  byId("picked-command").textContent = plot.command.replaceAll("TRIAL", trial);
  if (card) {
    card.classList.add("shown");
    card.scrollIntoView({ block: "start" });
  }
}

function fill(id, names, chosen) {
  const select = byId(id);
  for (const name of names) select.add(new Option(name === "" ? "none" : name, name, false, name === chosen));
  select.addEventListener("change", drawFront);
}

function drawProgress() {
  document.querySelectorAll(".progress").forEach((element) => {
    const each = REPORT.progress[Number(element.dataset.number)];
    Plotly.react(element, [{ x: each.x, y: each.y, mode: "lines", line: { shape: "hv", color: colour("accent"), width: 2 },
      hovertemplate: "trial %{x}: %{y}<extra></extra>" }], {
      ...baseLayout(), margin: { l: 10, r: 12, t: 8, b: 10 }, showlegend: false,
      xaxis: { title: { text: "trial", standoff: 4, font: { size: 12 } }, color: colour("soft"), gridcolor: colour("line"), zeroline: false, automargin: true, rangemode: "tozero" },
      yaxis: { color: colour("soft"), gridcolor: colour("line"), zeroline: false, automargin: true, exponentformat: "SI" },
    }, { responsive: true, displayModeBar: false });
  });
}

function sortBy(header) {
  const column = Number(header.dataset.sort), body = header.closest("table").tBodies[0];
  const up = !header.classList.contains("up") && header.classList.contains("sorted");
  header.closest("thead").querySelectorAll("th").forEach((other) => other.classList.remove("sorted", "up"));
  header.classList.add("sorted");
  header.classList.toggle("up", up);
  const key = (row) => { const text = row.cells[column].dataset.value; return text === "" ? null : Number(text); };
  const rows = [...body.rows].sort((a, b) => {
    const [one, two] = [key(a), key(b)];
    if (one === null || two === null) return (one === null) - (two === null);
    return up ? one - two : two - one;
  });
  body.append(...rows);
}

function copy(button) {
  const text = byId(button.dataset.from).textContent;
  const done = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
  if (navigator.clipboard) { navigator.clipboard.writeText(text).then(done, () => selectText(button.dataset.from)); } else { selectText(button.dataset.from); }
}

function selectText(id) { // where a page from a file may not write to the clipboard
  getSelection().selectAllChildren(byId(id));
}

if (byId("plot")) {
  const names = plot.axes.map((each) => each.name), goals = plot.goals;
  const x = goals.length > 1 ? goals[1] : "trial";
  fill("axis-x", names, x);
  fill("axis-y", names, goals[0]);
  fill("axis-c", ["", ...names], goals.length > 2 ? goals[2] : "");
  drawFront();
  byId("plot").on("plotly_click", (event) => show(event.points[0].customdata));
  document.querySelectorAll("#front-table th[data-sort]").forEach((header) => header.addEventListener("click", () => sortBy(header)));
  document.querySelectorAll("#front-table tbody tr").forEach((row) => row.addEventListener("click", (event) => {
    event.preventDefault();
    show(Number(row.dataset.trial));
  }));
}
drawProgress();
document.querySelectorAll("button.copy").forEach((button) => button.addEventListener("click", () => copy(button)));
dark.addEventListener("change", () => { if (byId("plot")) drawFront(); drawProgress(); });

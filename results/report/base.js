"use strict";
/* What the page knows, and small helpers. Texts of others go into the page as text only, never as markup. */
const REPORT = JSON.parse(document.getElementById("report-data").textContent);
const plot = REPORT.plot;
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const byId = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const say = (text) => { byId("said").textContent = text; };
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";

function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...inside.filter((each) => each !== null && each !== undefined));
  return element;
}

/* A value with its unit, as the page's own tables write it. signed: a difference, with its sign. */
function written(axis, value, signed = false) {
  if (value === null || value === undefined) return "";
  const sign = signed && value > 0 ? "+" : "";
  const text = written.plain(axis.unit, Math.abs(value));
  return (value < 0 ? "−" : sign) + text;
}
written.plain = (unit, value) => {
  if (unit === "%" && value < 1e9) return value.toFixed(2) + " %";
  if (unit === "bytes" && value < 1e18) {
    const step = Math.min(Math.floor(Math.log2(Math.max(value, 1)) / 10), 4);
    return (value / 1024 ** step).toFixed(step ? 1 : 0) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][step];
  }
  const whole = Number.isInteger(value) || value >= 1e4;
  const text = whole && value < 1e15 ? Math.round(value).toLocaleString("en-US") : String(value.toPrecision(4)).replace("e+", "e+0").replace(/e-(\d)$/, "e-0$1");
  return unit ? text + " " + unit : text;
};

/* Every network of the plot by its trial: where it is kept, its numbers and its decisions. */
const networks = new Map();
for (const kind of ["faint", "large"]) {
  plot[kind].id.forEach((id, place) => networks.set(id, {
    id, kind, place,
    front: kind === "large" && plot.large.front[place],
    retrained: kind === "large" && plot.large.retrained[place],
    count: kind === "faint" ? plot.faint.count[place] : 1,
    value: (name) => name === "trial" ? id : plot[kind].metrics[name][place],
    decisions: () => plot[kind].decided[place].map((word) => plot.words[word]),
    words: plot[kind].decided[place],
  }));
}
const axisOf = (name) => plot.axes.find((each) => each.name === name);
const metrics = plot.axes.filter((each) => each.name !== "trial");
const cardOf = (id) => byId("trial-" + id);
const held = new Set(plot.held); // trials of which there are weights
const commandOf = (id) => plot.command[Number(held.has(id))].replaceAll("\0", id);

function kindOf(network) {
  if (network.front) return network.retrained ? "on the front, retrained" : "on the front";
  if (network.kind === "large") return "behind the front, retrained";
  return network.count > 1 ? `dominated, as ${(network.count - 1).toLocaleString("en-US")} more around it` : "dominated";
}

/* A copy of the drawing of a network; null where it is not among those drawn. */
function drawingOf(id) {
  const drawn = cardOf(id) && cardOf(id).querySelector(".drawing svg");
  return drawn ? drawn.cloneNode(true) : null;
}

function copyButton(code) {
  const button = make("button", { type: "button", class: "copy" }, "copy");
  button.addEventListener("click", () => copyText(button, code));
  return button;
}

function copyText(button, code) {
  const select = () => getSelection().selectAllChildren(code); // where a page from a file may not write to the clipboard
  const done = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
  if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, select); else select();
}

function commandLine(id) {
  const code = make("code", {}, commandOf(id));
  return make("div", { class: "command" }, code, copyButton(code));
}

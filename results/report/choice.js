/* What the reader has chosen: axes, pins, and what is shown. It is kept in the address, so that a link or a reload has it. */
const choice = { x: "", y: "", c: "", pins: [], where: "", front: true, retrained: true, faint: true, range: null };
const PINS = 2;
const listeners = [];

function onChoice(listener) { listeners.push(listener); }

/* Change the choice and tell everybody what changed. */
function choose(change) {
  Object.assign(choice, change);
  writeAddress();
  const changed = new Set(Object.keys(change));
  listeners.forEach((listener) => listener(changed));
}

const usual = () => {
  const goals = plot.goals;
  return { x: goals.length > 1 ? goals[1] : "trial", y: goals[0], c: goals.length > 2 ? goals[2] : "" };
};

function writeAddress() {
  const said = new URLSearchParams(), normal = usual();
  if (choice.pins.length) said.set("pins", choice.pins.join(","));
  for (const name of ["x", "y", "c"]) if (choice[name] !== normal[name]) said.set(name, choice[name]);
  if (choice.where.trim()) said.set("where", choice.where);
  const hidden = ["front", "retrained", "faint"].filter((name) => !choice[name]);
  if (hidden.length) said.set("hide", hidden.join(","));
  const text = said.toString();
  if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
}

/* The choice that the address tells; what it names and is not there is left out. */
function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1)), names = plot.axes.map((each) => each.name), normal = usual();
  const known = (name, empty) => {
    const value = said.get(name);
    return names.includes(value) || (empty && value === "") ? value : normal[name];
  };
  const hidden = (said.get("hide") || "").split(",");
  const pins = (said.get("pins") || "").split(",").filter(Boolean).map(Number).filter((id) => networks.has(id));
  return {
    x: known("x"), y: known("y"), c: known("c", true), where: said.get("where") || "", pins: [...new Set(pins)].slice(0, PINS),
    front: !hidden.includes("front"), retrained: !hidden.includes("retrained"), faint: !hidden.includes("faint"),
  };
}

function togglePin(id) {
  if (!networks.has(id)) return;
  const pinned = choice.pins.includes(id);
  choose({ pins: pinned ? choice.pins.filter((each) => each !== id) : [...choice.pins, id].slice(-PINS) });
  const now = choice.pins.length;
  say(pinned ? `trial ${id} is unpinned` : `trial ${id} is pinned${now === 2 ? "; what differs is shown below the plot" : ""}`);
}

function unpinAll() {
  if (choice.pins.length) { choose({ pins: [] }); say("nothing is pinned"); }
}

/* The filter: each word a test of a network. `a=b`, `a!=b` look at decisions, `a<b` and so on at numbers, others anywhere. */
function testsOf(where) {
  return where.split(/\s+/).filter(Boolean).map((word) => {
    const match = word.match(/^([^<>=!]+)(<=|>=|!=|=|<|>)(.+)$/);
    if (!match) return anywhere(word.toLowerCase());
    const [, name, relation, value] = match;
    const axis = plot.axes.find((each) => each.name === name) || plot.axes.filter((each) => each.name.includes(name)).find((each, _, found) => found.length === 1);
    if (axis && Number.isFinite(Number(value))) return onNumber(axis.name, relation, Number(value));
    return onDecision(name.toLowerCase(), relation, value.toLowerCase());
  });
}

function onNumber(name, relation, bound) {
  const holds = { "<": (a) => a < bound, "<=": (a) => a <= bound, ">": (a) => a > bound, ">=": (a) => a >= bound, "=": (a) => a === bound, "!=": (a) => a !== bound }[relation];
  return (network) => { const value = network.value(name); return value !== null && value !== undefined && holds(value); };
}

const addressFits = (address, name) => {
  const low = address.toLowerCase();
  return low === name || low.endsWith("/" + name) || (name.includes("/") && low.includes(name)) || low.split("/").pop().includes(name);
};

function onDecision(name, relation, value) {
  const holds = (option) => {
    const low = option.toLowerCase(), [a, b] = [Number(low), Number(value)];
    const parts = low.startsWith("{") ? low.slice(1, -1).split(", ") : [low];
    if (relation === "=" || relation === "!=") return low === value || parts.includes(value);
    return low !== "" && (relation === "<" ? a < b : relation === "<=" ? a <= b : relation === ">" ? a > b : a >= b);
  };
  const fitting = new Set();
  plot.words.forEach(([address, option], place) => { if (addressFits(address, name) && holds(option)) fitting.add(place); });
  const some = (network) => network.words.some((word) => fitting.has(word));
  return relation === "!=" ? (network) => !some(network) : some;
}

function anywhere(text) {
  const fitting = new Set();
  plot.words.forEach(([address, option], place) => { if (`${address}=${option}`.toLowerCase().includes(text)) fitting.add(place); });
  return (network) => String(network.id) === text || network.words.some((word) => fitting.has(word));
}

/* Whether a network is to be seen, by filter and kinds; zooming is another matter. */
function seer() {
  const tests = testsOf(choice.where);
  return (network) => {
    if (network.kind === "faint" ? !choice.faint : network.retrained ? !choice.retrained : !choice.front) return false;
    return tests.every((test) => test(network));
  };
}

function inRange(network) {
  if (!choice.range) return true;
  return [["x", choice.x], ["y", choice.y]].every(([side, name]) => {
    const value = network.value(name), [low, high] = choice.range[side];
    return value !== null && value !== undefined && value >= low && value <= high;
  });
}

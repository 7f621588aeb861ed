/* Putting it together. The plotting library is run after the page has been shown: it is large, and all else is there before it. */
function fill(id, names, side) {
  const select = byId(id);
  for (const name of names) select.add(new Option(name === "" ? "none" : name, name, false, name === choice[side]));
  select.value = choice[side];
  select.addEventListener("change", () => choose({ [side]: select.value, ...(side === "c" ? {} : { range: null }) }));
}

function startFront() {
  Object.assign(choice, readAddress());
  const names = plot.axes.map((each) => each.name);
  fill("axis-x", names, "x");
  fill("axis-y", names, "y");
  fill("axis-c", ["", ...names], "c");
  startFilter();
  onChoice((changed) => {
    if (["where", "front", "retrained", "faint", "range", "x", "y"].some((name) => changed.has(name))) followFilter();
    if (changed.has("pins")) { drawPins(); showPressed(); }
    drawFront();
  });
  all("#front-table th[data-sort]").forEach((header) => header.addEventListener("click", () => sortBy(header)));
  byId("front-table").addEventListener("keydown", onTableKey);
  byId("front-table").addEventListener("focusin", (event) => { if (event.target.matches("button.pin")) highlight(Number(event.target.dataset.trial)); });
  byId("front-table").addEventListener("focusout", () => highlight(null));
  all("#front-table tbody tr").forEach((row) => row.addEventListener("click", (event) => {
    if (!event.target.closest("button") && !String(getSelection())) togglePin(Number(row.dataset.trial));
  }));
  byId("plot").addEventListener("keydown", onPlotKey);
  byId("plot").addEventListener("blur", () => { if (current !== null) moveTo(null); });
  drawPins();
  showPressed();
  followFilter();
}

function highlight(id) {
  const known = networks.has(id) ? id : null;
  if (current !== known) { current = known; drawFront(); }
}

function startFilter() {
  const where = byId("where");
  where.value = choice.where;
  let waiting = 0;
  where.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => choose({ where: where.value }), 120); });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  const pairs = [...new Set(plot.words.map(([address, option]) => `${address.split("/").pop()}=${option}`))];
  byId("where-words").append(...pairs.slice(0, 200).map((text) => make("option", { value: text })));
  for (const name of ["front", "retrained", "faint"]) {
    const box = byId("show-" + name);
    box.checked = choice[name];
    const there = name === "faint" ? plot.faint.id.length : plot.large.retrained.some((each) => each === (name === "retrained"));
    box.closest("label").hidden = !there;
    box.addEventListener("change", () => choose({ [name]: box.checked }));
  }
  byId("reset").addEventListener("click", () => {
    where.value = "";
    for (const name of ["front", "retrained", "faint"]) byId("show-" + name).checked = true;
    choose({ where: "", front: true, retrained: true, faint: true, range: null });
    byId("plot").focus({ preventScroll: true });
  });
}

function startPage() {
  const front = Boolean(byId("plot"));
  if (front) startFront();
  all("button[data-trial]:not(.unpin)").forEach((button) => button.addEventListener("click", () => togglePin(Number(button.dataset.trial))));
  all("button.copy[data-from]").forEach((button) => button.addEventListener("click", () => copyText(button, byId(button.dataset.from))));
  all("details.layers").forEach((fold) => fold.addEventListener("toggle", () => fillLayers(fold)));
  all(".toggle button").forEach((button) => button.addEventListener("click", () => chooseOver(button)));
  all("a[href^='#']").forEach((link) => link.addEventListener("click", (event) => { // the address holds the choice
    const target = byId(link.getAttribute("href").slice(1));
    if (!target) return;
    event.preventDefault();
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  }));
  const unfold = byId("unfold");
  if (unfold) unfold.addEventListener("click", () => {
    const open = unfold.getAttribute("aria-expanded") !== "true";
    all("details.card").forEach((card) => { card.open = open; });
    unfold.setAttribute("aria-expanded", open);
    unfold.textContent = open ? "fold all" : "unfold all";
  });
  addEventListener("hashchange", () => { if (front) { choose(readAddress()); byId("where").value = choice.where; } });
  requestAnimationFrame(() => setTimeout(() => {
    if (!front && !document.querySelector(".progress, .curve")) return;
    document.head.append(make("script", {}, byId("plotly-source").textContent));
    drawFront();
    drawProgressLater();
    document.documentElement.dataset.ready = "yes";
  }));
  const again = () => { drawFront(); if (drawProgress.done) drawProgress(); };
  dark.addEventListener("change", again);
  addEventListener("beforeprint", () => { if (window.Plotly && !drawProgress.done) { drawProgress(); drawProgress.done = true; } });
}

startPage();

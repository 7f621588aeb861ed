/* The table of the front: sorting, following the filter and the zoom, and moving in it with the keyboard. */
function sortBy(header) {
  const column = Number(header.dataset.sort), body = header.closest("table").tBodies[0];
  const up = header.getAttribute("aria-sort") === "descending";
  all("th", header.closest("thead")).forEach((other) => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = (row) => { const text = row.cells[column].dataset.value; return text === "" ? null : Number(text); };
  const rows = [...body.rows].sort((a, b) => {
    const [one, two] = [key(a), key(b)];
    if (one === null || two === null) return (one === null) - (two === null);
    return up ? one - two : two - one;
  });
  body.append(...rows);
}

/* Rows of networks that are filtered out, or outside of what the plot shows, are hidden; and it is said how many. */
function followFilter() {
  const sees = seer(), count = (value) => value.toLocaleString("en-US");
  let shown = 0;
  const rows = all("#front-table tbody tr");
  for (const row of rows) {
    const network = networks.get(Number(row.dataset.trial));
    row.hidden = Boolean(network) && !(sees(network) && inRange(network));
    shown += row.hidden ? 0 : 1;
  }
  let dominated = 0, together = 0;
  for (const network of networks.values()) {
    if (network.kind !== "faint") continue;
    together += network.count;
    dominated += sees(network) && inRange(network) ? network.count : 0;
  }
  byId("showing").textContent = `${count(shown)} of ${count(rows.length)} networks listed` + (together ? `, ${count(dominated)} of ${count(together)} dominated ones plotted.` : ".");
  byId("reset").hidden = !(choice.where || choice.range || !choice.front || !choice.retrained || !choice.faint);
  const buttons = pinButtons();
  if (buttons.length && !buttons.some((button) => button.tabIndex === 0)) buttons[0].tabIndex = 0;
}

const pinButtons = () => all("#front-table tbody tr:not([hidden]) button.pin");

function onTableKey(event) {
  const button = event.target.closest("button.pin");
  if (!button) return;
  const buttons = pinButtons(), place = buttons.indexOf(button);
  const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (event.key === "Escape") unpinAll();
  else if (to === undefined) return;
  else if (buttons[to]) focusRow(buttons[to]);
  event.preventDefault();
}

function focusRow(button) {
  all("#front-table button.pin").forEach((other) => { other.tabIndex = -1; });
  button.tabIndex = 0;
  button.focus();
}

function showPressed() {
  all("button[data-trial][aria-pressed]").forEach((button) => {
    const pressed = choice.pins.includes(Number(button.dataset.trial));
    button.setAttribute("aria-pressed", pressed);
    if (button.classList.contains("pin-it")) button.textContent = pressed ? "unpin it" : "pin it to compare";
  });
  all("#front-table tbody tr").forEach((row) => row.classList.toggle("pinned-row", choice.pins.includes(Number(row.dataset.trial))));
}

/* The small plots of what the search did: how it got better, and how a supernet was trained. */
let over = "trial";

function smallLayout(x, y) {
  const axis = { color: colour("soft"), gridcolor: colour("line"), zeroline: false, automargin: true, exponentformat: "SI", tickfont: { size: 11.5 } };
  return {
    ...baseLayout(), margin: { l: 10, r: 12, t: 8, b: 10 }, hovermode: "closest",
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { family: FONT, size: 12, color: colour("ink") } },
    xaxis: { ...axis, title: { text: x, standoff: 4, font: { size: 12 } }, rangemode: "tozero" }, yaxis: { ...axis, title: y ? { text: y } : undefined },
  };
}

function drawSmall(element, x, y, lines, shape, hover) {
  Plotly.react(element, [{ x: lines.x, y: lines.y.map(drawable), mode: lines.x.length < 2 ? "markers" : "lines", line: { shape, color: colour("accent"), width: 2 },
    hovertemplate: hover + "<extra></extra>" }], smallLayout(x, y), { responsive: true, displayModeBar: false });
}

function drawProgress() {
  all(".progress").forEach((element) => {
    const each = REPORT.progress[Number(element.dataset.number)], x = each[over];
    drawSmall(element, over === "trial" ? "trial" : "seconds of evaluation", "", { x, y: each.y }, "hv", over === "trial" ? "trial %{x}: %{y}" : "%{x} s: %{y}");
  });
  all(".curve").forEach((element) => {
    const each = REPORT.supernet.curves[Number(element.dataset.number)];
    drawSmall(element, "epoch", "", each, "linear", "epoch %{x}: %{y}");
  });
}

/* The small plots are drawn when they come near to what is seen. */
function drawProgressLater() {
  const near = all(".progress, .curve");
  if (!near.length) return;
  const observer = new IntersectionObserver((seen) => {
    if (seen.some((each) => each.isIntersecting)) { observer.disconnect(); drawProgress(); drawProgress.done = true; }
  }, { rootMargin: "600px" });
  near.forEach((element) => observer.observe(element));
}

function chooseOver(button) {
  over = button.dataset.over;
  all(".toggle button").forEach((other) => other.setAttribute("aria-pressed", other === button));
  drawProgress();
}

"""Pages in a headless Chromium, for tests: one browser, a tab for each look, and a record of all that went wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

WIDE, NARROW = {"width": 1360, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def looking(
    browser: Any, page: Path, *, size: dict[str, int] = WIDE, scheme: str = "light", choice: str = ""
) -> Iterator[Any]:
    """A tab with the report, when its plots are drawn. On leaving, it must have told no errors and asked nothing else.

    choice: what stands in the address behind `#`.
    """
    tab = browser.new_page(viewport=size, color_scheme=scheme)
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    tab.on("request", lambda request: asked.append(request.url))
    asked: list[str] = []
    address = page.resolve().as_uri() + (f"#{choice}" if choice else "")
    tab.goto(address)
    tab.wait_for_selector("html[data-ready]", timeout=20_000)
    yield tab
    assert wrong == []
    own = [url for url in asked if url.split("#")[0] != page.resolve().as_uri() and not url.startswith("data:")]
    assert own == []
    tab.close()


CONTRAST = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (text, opacity = 1) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255 * opacity];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      if (each instanceof SVGElement) {
        const rect = each.matches("g") && each.querySelector(":scope > rect"), style = rect && getComputedStyle(rect);
        const opacity = rect && Number(style.fillOpacity) * Number(style.opacity);
        if (rect && style.fill !== "none") layers.push(rgba(style.fill, opacity));
      } else layers.push(rgba(getComputedStyle(each).backgroundColor));
      if (layers.length && layers[layers.length - 1][3] === 1) break;
    }
    let colour = rgba(getComputedStyle(document.body).backgroundColor);
    for (const layer of layers.reverse()) colour = over(layer, colour);
    return colour;
  };
  const seen = { visibilityProperty: true, opacityProperty: true };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility(seen)) continue;
    if (element.closest("script, option, datalist, .unseen")) continue;
    const style = getComputedStyle(element), below = behind(element);
    const ink = over(rgba(element instanceof SVGElement ? style.fill : style.color), below);
    const [a, b] = [light(ink), light(below)].sort((x, y) => y - x), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    found.push({ text: node.data.trim().slice(0, 40), ratio: (a + 0.05) / (b + 0.05), enough: large ? 3 : 4.5 });
  }
  return found;
}
"""
"""Every visible text, its contrast with what is behind it, and what WCAG 2.1 AA asks for (1.4.3)."""

"""The report in a real browser: what a reader does with the pointer, the keyboard, and different windows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.core.records import Status, Trial
from results.report import write_report
from results.units import unit_of, written
from tests.results.report.browser import CHROMIUM, CONTRAST, NARROW, WIDE, looking
from tests.results.samples import network, store_of, trial

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")

HOSTILE = "<img src=x onerror=\"document.title='broken'\">&lt;b&gt;</script>'\""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from tests.results.report.browser import FLAGS

    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def some_trials() -> list[Trial]:
    """Six on the front (0 to 5), growing; 34 behind it; one retrained, one failed."""
    found = [
        trial(
            place,
            graph=network(3 + 2 * (place % 2), 1 + place % 3),
            decisions={"stage/kernel": 3 + 2 * (place % 2), "stage/times": 1 + place % 3}
            | ({"stage/wide": True} if place == 4 else {}),
            metrics={"val_accuracy": 80 + 3 * place + 0.123, "params": 1000 * 2**place, "memory_bytes": 3e6 + place},
        )
        for place in range(6)
    ]
    for place in range(6, 40):
        metrics = {"val_accuracy": 50 + 0.5 * place, "params": 40000 + 1000 * place, "memory_bytes": 5e6}
        found.append(trial(place, decisions={"stage/kernel": 3}, metrics=metrics))
    found.append(trial(40, status=Status.FAILED, reason="it broke", traceback="Traceback: it broke"))
    found.append(
        trial(41, stage="finalist", of=3, metrics={"val_accuracy": 91.5, "test_accuracy": 90.25, "params": 8000})
    )
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "my run"
    facts = {
        "constraints": ["params <= 90000", "val_accuracy >= 40"], "stop_reason": "trials", "name": "trees", "seed": 3,
        "recipe": {"space": "mine", "budget": {"trials": 41}}, "inputs": {"x": {"shape": [3, 16, 16]}},
        "versions": {"torch": "2"}, "seconds": 12.0,
    }  # fmt: skip
    store_of(folder, some_trials(), **facts).close()
    return write_report(folder)


RESET = """() => {
  const rows = document.querySelector("#front-table tbody");
  window.first ??= { folds: all("details").map((fold) => [fold, fold.open]), rows: [...rows.children] };
  for (const [fold, open] of first.folds) fold.open = open;
  rows.append(...first.rows);
  all("#front-table th").forEach((head) => head.removeAttribute("aria-sort"));
  document.activeElement.blur();
  hidePanel();
  moveTo(null);
  choose({ pins: [], where: "", front: true, retrained: true, faint: true, range: null, ...usual() });
  byId("where").value = "";
  for (const name of ["front", "retrained", "faint"]) byId("show-" + name).checked = true;
  for (const side of ["x", "y", "c"]) byId("axis-" + side).value = choice[side];
  scrollTo({ top: 0, behavior: "instant" });
}"""


@pytest.fixture(scope="module")
def opened(browser: Any, report: Path) -> Iterator[Any]:
    with looking(browser, report) as tab:
        yield tab


@pytest.fixture
def tab(opened: Any) -> Any:
    """The report as it is when it was just opened; opening it anew for every test would take too long."""
    opened.set_viewport_size(WIDE)
    opened.emulate_media(media="screen", color_scheme="light", reduced_motion="no-preference")
    opened.mouse.move(2, 2)
    opened.evaluate(RESET)
    return opened


def pin(tab: Any, *trials: int) -> None:
    """Pin these by the address, as somebody does who goes back to it."""
    wanted = ",".join(map(str, trials))
    tab.evaluate("(pins) => { location.hash = `pins=${pins}`; }", wanted)
    tab.wait_for_function("(pins) => choice.pins.join(',') === pins", arg=wanted)


def at(tab: Any, id_: int) -> tuple[float, float]:
    """Where a trial of the plot is in the window."""
    script = """(id) => {
      byId("plot").scrollIntoView({ block: "center", behavior: "instant" });
      const network = networks.get(id), layout = byId("plot")._fullLayout, box = byId("plot").getBoundingClientRect();
      return [box.left + layout.xaxis._offset + layout.xaxis.d2p(network.value(choice.x)),
              box.top + layout.yaxis._offset + layout.yaxis.d2p(network.value(choice.y))];
    }"""
    x, y = tab.evaluate(script, id_)
    return x, y


def point_at(tab: Any, id_: int) -> None:
    x, y = at(tab, id_)
    tab.mouse.move(x + 60, y + 40)
    tab.mouse.move(x + 1, y, steps=3)


def click_on(tab: Any, id_: int) -> None:
    point_at(tab, id_)
    tab.locator("#panel .panel-title", has_text=f"Trial {id_} ").wait_for(state="visible")
    tab.mouse.down()
    tab.mouse.up()


def pins(tab: Any) -> list[int]:
    found: list[int] = tab.evaluate("choice.pins")
    return found


def listed(tab: Any) -> list[int]:
    """Trials of the rows of the table that are to be seen."""
    return [int(row.get_attribute("data-trial")) for row in tab.locator("#front-table tbody tr:visible").all()]


def test_pointing_at_a_network_shows_its_drawing_and_its_decisions(tab: Any) -> None:
    point_at(tab, 4)
    panel = tab.locator("#panel")
    panel.wait_for(state="visible")
    assert "Trial 4 on the front" in panel.inner_text()
    assert panel.locator("svg.nas-graph text").count() > 3
    said = panel.locator(".decisions").inner_text().split("\n")
    assert said == ["stage/kernel", "3", "stage/times", "2", "stage/wide", "True"]
    assert "92.12 %" in panel.inner_text()
    box = panel.bounding_box()
    assert 0 <= box["x"] <= 1360 - box["width"]
    assert 0 <= box["y"] <= 900 - box["height"]
    x, y = at(tab, 0)
    tab.mouse.move(x + 200, y + 5)
    panel.wait_for(state="hidden")


def test_the_card_of_a_point_leaves_the_points_beside_it_in_sight(tab: Any) -> None:
    places = [at(tab, id_) for id_ in range(6)]

    def covered() -> list[int]:
        box = tab.locator("#panel").bounding_box()
        inside = [
            box["x"] <= x <= box["x"] + box["width"] and box["y"] <= y <= box["y"] + box["height"] for x, y in places
        ]
        return [id_ for id_, is_in in enumerate(inside) if is_in]

    for id_ in range(6):
        point_at(tab, id_)
        tab.locator("#panel .panel-title", has_text=f"Trial {id_} ").wait_for(state="visible")
        assert not {id_ - 1, id_, id_ + 1} & set(covered())
    tab.set_viewport_size({"width": 1360, "height": 1500})
    tab.evaluate("byId('plot').focus()")
    places = [at(tab, id_) for id_ in range(6)]
    for _ in range(6):
        tab.keyboard.press("ArrowRight")
        assert covered() == []


def test_a_drawing_that_is_a_little_too_wide_is_scaled_down_to_its_box(tab: Any) -> None:
    widths = []
    for width in (1360, 1280, 1240):
        tab.set_viewport_size({"width": width, "height": 900})
        widths.append(
            tab.evaluate("""() => {
              const box = document.querySelector("details[open] .drawing"), svg = box.querySelector("svg");
              svg.setAttribute("width", box.clientWidth + 35);
              return [box.clientWidth, box.scrollWidth];
            }""")
        )
    assert all(wide == needed for wide, needed in widths), widths


def test_clicks_pin_and_two_pins_say_what_differs(tab: Any) -> None:
    click_on(tab, 3)
    pinned = tab.locator("#pinned")
    pinned.wait_for(state="visible")
    assert "Trial 3" in pinned.inner_text()
    assert re.search(r"nas export '.*my run' 3 --to net-3", pinned.inner_text())
    assert pinned.locator("svg.nas-graph").count() == 1
    click_on(tab, 4)
    pinned.locator("text=What differs").wait_for()
    metrics = [row.inner_text().split("\t") for row in pinned.locator("table.metrics tbody tr").all()]
    assert metrics[0] == ["val_accuracy", "89.12 %", "92.12 %", "+3.00 % better"]
    assert metrics[1] == ["params", "8,000", "16,000", "+8,000 (2.0 ×) worse"]
    assert metrics[3] == ["test_accuracy, retrained", "90.25 %", "", ""]
    decided = [row.inner_text().split("\t") for row in pinned.locator("table.decided tbody tr").all()]
    assert decided == [["stage/kernel", "5", "3"], ["stage/times", "1", "2"], ["stage/wide", "not there", "True"]]
    assert pinned.locator("svg.nas-graph").count() == 2
    assert re.search(r"4 --to net-4", pinned.inner_text())
    assert "pins=3%2C4" in tab.url
    tab.reload()
    tab.wait_for_selector("html[data-ready]")
    assert pins(tab) == [3, 4]
    assert pinned.is_visible()
    pinned.get_by_role("button", name="unpin trial 3").click()
    assert pins(tab) == [4]
    click_on(tab, 4)
    assert pins(tab) == []
    assert pinned.is_hidden()
    assert "#" not in tab.url


def test_a_dominated_network_can_be_pinned_too_and_the_oldest_pin_gives_way(tab: Any) -> None:
    pin(tab, 2, 4)
    click_on(tab, 20)
    assert pins(tab) == [4, 20]
    assert "not among the networks drawn" in tab.locator("#pinned").inner_text()
    assert "dominated" in tab.locator("#pinned").inner_text()


def test_an_address_that_names_what_is_not_there_is_harmless(browser: Any, report: Path) -> None:
    with looking(browser, report, choice="pins=999,x,3,3&x=nothing&c=memory_bytes&where=%3Cb%3E") as tab:
        assert pins(tab) == [3]
        assert tab.evaluate("[choice.x, choice.y, choice.c]") == ["params", "val_accuracy", "memory_bytes"]
        assert listed(tab) == []


def test_suggestions_are_chips_that_pin(tab: Any) -> None:
    chips = tab.locator("button.chip")
    assert [re.sub(r": trial \d+", "", chip.inner_text()) for chip in chips.all()] == [
        "knee", "cheapest within 1 % of the best"
    ]  # fmt: skip
    trials = [int(chip.get_attribute("data-trial")) for chip in chips.all()]
    assert trials[1] == 5
    assert "95.12" in tab.locator("#" + chips.nth(1).get_attribute("aria-describedby")).inner_text()
    chips.nth(0).click()
    assert pins(tab) == trials[:1]
    assert chips.nth(0).get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("kernel=5", [5, 3, 1]),
        ("stage/kernel=5 times=2", [1]),
        ("kernel!=5", [4, 2, 0]),
        ("params<5000", [2, 1, 0]),
        ("val_accuracy>=90 kernel=3", [4]),
        ("times>2", [5, 2]),
        ("wide", [4]),
        ("nothing_like_it", []),
    ],
)
def test_the_filter_keeps_what_all_of_its_words_keep(tab: Any, where: str, kept: list[int]) -> None:
    tab.locator("#where").fill(where)
    tab.wait_for_function("(where) => choice.where === where", arg=where)
    assert listed(tab) == kept
    traces = "byId('plot').data.filter((trace) => trace.hoverinfo === 'none').slice(1)"
    assert sorted(tab.evaluate(f"{traces}.flatMap((trace) => trace.customdata)")) == sorted(kept)
    assert f"{len(kept)} of 6 networks listed" in tab.locator("#showing").inner_text()
    tab.get_by_role("button", name="show all again").click()
    assert len(listed(tab)) == 6
    assert tab.locator("#where").input_value() == ""


def test_kinds_of_points_can_be_hidden(tab: Any) -> None:
    tab.get_by_label("retrained").uncheck()
    assert listed(tab) == [5, 4, 2, 1, 0]
    tab.get_by_label("dominated").uncheck()
    assert "0 of 34 dominated" in tab.locator("#showing").inner_text()
    assert "hide=retrained%2Cfaint" in tab.url


def test_the_table_follows_the_zoom(tab: Any) -> None:
    (left, low), (right, high) = at(tab, 1), at(tab, 3)
    tab.mouse.move(left - 20, high - 20)
    tab.mouse.down()
    tab.mouse.move(right + 20, low + 20, steps=6)
    tab.mouse.up()
    tab.wait_for_function("choice.range !== null")
    assert listed(tab) == [3, 2, 1]
    tab.get_by_role("button", name="show all again").click()
    assert len(listed(tab)) == 6
    assert tab.evaluate("byId('plot').layout.xaxis.range[1] > Math.log10(60000)")


def test_everything_by_keyboard_alone(tab: Any) -> None:
    tab.locator(".skip").focus()
    press = tab.keyboard.press
    for _ in range(60):  # one comes to the plot with the tabulator
        press("Tab")
        if tab.evaluate("document.activeElement.id") == "plot":
            break
    assert tab.evaluate("document.activeElement.id") == "plot"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    walked = []
    for _ in range(7):  # one more than there are: it stays at the end
        press("ArrowRight")
        walked.append(tab.evaluate("current"))
    assert walked == [0, 1, 2, 3, 4, 5, 5]
    assert "trial 5, on the front: val_accuracy 95.12 %, params 32,000" in tab.locator("#said").inner_text()
    assert tab.locator("#panel").is_visible()
    press("Enter")
    press("Home")
    press("Enter")
    assert pins(tab) == [5, 0]
    press("Escape")
    assert pins(tab) == []
    assert tab.locator("#panel").is_hidden()
    for _ in range(40):  # and on to the table
        press("Tab")
        if tab.evaluate("document.activeElement.matches('button.pin')"):
            break
    rows = []
    for _ in range(6):
        rows.append(tab.evaluate("Number(document.activeElement.dataset.trial)"))
        press("ArrowDown")
    assert rows == [5, 4, 3, 2, 1, 0]
    press("Enter")
    assert pins(tab) == [0]
    assert tab.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    press("Escape")
    assert pins(tab) == []


def test_sorting_by_a_column(tab: Any) -> None:
    head = tab.locator("#front-table th", has_text="params")
    head.get_by_role("button").click()
    assert listed(tab) == [5, 4, 3, 2, 1, 0]
    head.get_by_role("button").press("Enter")
    assert listed(tab) == [0, 1, 2, 3, 4, 5]
    assert head.get_attribute("aria-sort") == "ascending"


def test_constraints_are_drawn_where_their_metric_is_an_axis(tab: Any) -> None:
    drawn = "byId('plot').layout.annotations.map((note) => note.text)"
    assert tab.evaluate(drawn) == ["params &lt;= 90000", "val_accuracy &gt;= 40"]
    regions = tab.evaluate("byId('plot').layout.shapes.filter((shape) => shape.type === 'rect')")
    assert (regions[0]["x0"], regions[0]["x1"] > 1e20) == (90000, True)
    assert (regions[1]["y0"], regions[1]["y1"] < 0) == (40, True)
    tab.get_by_label("across").select_option("memory_bytes")
    assert tab.evaluate(drawn) == ["val_accuracy &gt;= 40"]
    assert "x=memory_bytes" in tab.url


def test_layers_on_demand_and_folds(tab: Any) -> None:
    card = tab.locator("#trial-4")
    assert card.locator("details.layers table").count() == 0
    card.locator("details.layers > summary").click()
    rows = card.locator("details.layers tbody tr")
    rows.first.wait_for()
    assert "stem" in rows.first.inner_text()
    assert rows.last.inner_text().startswith("together")


def test_progress_over_trials_or_over_time(tab: Any) -> None:
    tab.locator(".progress").first.scroll_into_view_if_needed()
    tab.wait_for_selector(".progress .scatterlayer .trace")
    title = "document.querySelector('.progress').layout.xaxis.title.text"
    assert tab.evaluate(title) == "trial"
    tab.get_by_role("button", name="over evaluation time").click()
    assert tab.evaluate(title) == "seconds of evaluation"
    shapes = tab.evaluate("[...document.querySelectorAll('.progress')].map((each) => each.data[0].line.shape)")
    assert shapes == ["hv"] * 3  # what was reached stays until something better comes


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(tab: Any, scheme: str) -> None:
    tab.emulate_media(color_scheme=scheme)
    pin(tab, 3, 4)
    tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    tab.evaluate("drawProgress()")
    point_at(tab, 5)
    tab.locator("#panel").wait_for(state="visible")
    tab.wait_for_function("document.getAnimations().every((each) => each.playState === 'finished')")
    found = tab.evaluate(CONTRAST)
    assert len(found) > 200
    assert [each for each in found if each["ratio"] < each["enough"]] == []
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 29)"}[scheme]


def test_changing_the_scheme_redraws(tab: Any) -> None:
    ink = "byId('plot').layout.font.color"
    before = tab.evaluate(ink)
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function(f"{ink} !== {json.dumps(before)}")


def test_a_narrow_window_does_not_scroll_sideways(tab: Any) -> None:
    tab.set_viewport_size(NARROW)
    pin(tab, 3, 4)
    tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    tab.evaluate("drawProgress()")
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    outside = tab.evaluate(
        """[...document.querySelectorAll("button, input, select, h1, h2, h3, .chip")]
        .filter((each) => each.checkVisibility() && !each.closest(".scroll, .modebar, .skip, .unseen"))
        .filter((each) => each.getBoundingClientRect().right > 391 || each.getBoundingClientRect().left < -1)
        .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    overlapping = tab.evaluate(
        """[...document.querySelectorAll("#front-table .badge")].map((badge) => [badge, badge.closest("td")])
        .filter(([badge, cell]) => badge.getBoundingClientRect().right > cell.getBoundingClientRect().right + 1)
        .map(([badge]) => badge.innerText)"""
    )
    assert overlapping == []


def test_motion_is_left_out_where_it_is_not_wanted(tab: Any) -> None:
    tab.emulate_media(reduced_motion="reduce")
    point_at(tab, 2)
    tab.locator("#panel").wait_for(state="visible")
    assert tab.evaluate("getComputedStyle(byId('panel')).animationName") == "none"
    assert tab.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_print_leaves_controls_out(tab: Any) -> None:
    pin(tab, 3, 4)
    tab.emulate_media(media="print")
    assert tab.locator("#controls").is_hidden()
    assert tab.locator("nav").is_hidden()
    assert tab.locator("#front-table").is_visible()
    assert tab.locator("#pinned svg.nas-graph").first.is_visible()
    assert len(tab.pdf()) > 20_000


def test_every_control_has_a_name(tab: Any) -> None:
    pin(tab, 3, 4)
    unnamed = tab.evaluate(
        """[...document.querySelectorAll("button, input, select, [role=region], [role=img], [tabindex='0']")]
        .filter((each) => each.checkVisibility() && !each.querySelector(":scope > title"))
        .filter((each) => !(each.innerText || "").trim() && !each.ariaLabel && !(each.labels || []).length)
        .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    ids = tab.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    own = [id_ for id_ in ids if not re.search(r"clip|xy|legend|topdefs|defs", id_)]
    assert len(own) == len(set(own))


def test_links_of_the_page_keep_the_pins(tab: Any) -> None:
    pin(tab, 3)
    tab.get_by_role("link", name="What made it").click()
    assert tab.evaluate("document.activeElement.id") == "made"
    assert tab.url.endswith("#pins=3")


def test_numbers_are_written_as_in_the_rest_of_the_page(tab: Any) -> None:
    for name, values in {
        "val_accuracy": [98.6111, 0.0, 100.0], "params": [18906, 0, 1.2e6, 12345.6, 3.14159],
        "x_bytes": [3 * 2**20, 17, 5e9], "latency_ms": [1.23456, 0.00123456, 250.0, 1e-7],
        "val_loss": [0.0701234, 1.0, 1e-9],
    }.items():  # fmt: skip
        axis = {"unit": unit_of(name)}
        for value in values:
            assert tab.evaluate("([axis, value]) => written(axis, value)", [axis, value]) == written(name, value)


def test_hostile_names_stay_text(browser: Any, tmp_path: Path) -> None:
    metrics = {"val_accuracy": 90.0, "params": 5.0, HOSTILE: 1.0}
    trials = [
        trial(0, decisions={HOSTILE: HOSTILE, "a": 1}, metrics=metrics),
        trial(1, decisions={HOSTILE: "x"}, metrics=metrics | {"val_accuracy": 95.0, "params": 9.0}),
        trial(2, status=Status.FAILED, reason=HOSTILE, traceback=HOSTILE),
    ]
    facts = {"name": HOSTILE, "constraints": [f"{HOSTILE} <= 3", "params <= 9"], "recipe": {HOSTILE: HOSTILE}}
    store_of(tmp_path / "run", trials, **facts).close()
    with looking(browser, write_report(tmp_path / "run"), choice="pins=0,1&c=" + HOSTILE.replace("&", "%26")) as tab:
        point_at(tab, 0)
        tab.locator("#panel").wait_for(state="visible")
        tab.get_by_label("across").select_option(HOSTILE)
        tab.locator("#where").fill("<img")
        tab.wait_for_function("choice.where === '<img'")
        assert tab.locator("img").count() == 0
        assert tab.title() == f"{HOSTILE} · search report"
        assert HOSTILE in tab.locator("#pinned .decided").inner_text()


def test_with_one_goal_and_with_nothing(browser: Any, tmp_path: Path) -> None:
    goal = [{"name": "val_accuracy", "direction": "max", "unit": "%"}]
    trials = [trial(i, metrics={"val_accuracy": value}) for i, value in enumerate((90, 95, 93))]
    store_of(tmp_path / "one", trials, objectives=goal).close()
    with looking(browser, write_report(tmp_path / "one")) as tab:
        assert tab.evaluate("[choice.x, choice.y]") == ["trial", "val_accuracy"]
        click_on(tab, 1)
        assert pins(tab) == [1]
    store_of(tmp_path / "none", []).close()
    page = write_report(tmp_path / "none")
    tab = browser.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(page.as_uri())
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(() => setTimeout(done))))")
    assert wrong == []
    assert "No trial is complete yet" in tab.inner_text("body")
    tab.close()


def test_three_goals_colour_the_third(browser: Any, tmp_path: Path) -> None:
    goals = [{"name": name, "direction": "min", "unit": ""} for name in ("a", "b", "c")]
    trials = [trial(i, metrics={"a": i, "b": 9 - i, "c": (i * 7) % 5}) for i in range(10)]
    store_of(tmp_path / "run", trials, objectives=goals).close()
    with looking(browser, write_report(tmp_path / "run")) as tab:
        assert tab.evaluate("[choice.x, choice.y, choice.c]") == ["b", "a", "c"]
        assert tab.evaluate("byId('plot')._fullLayout.coloraxis.colorbar.title.text") == "c"

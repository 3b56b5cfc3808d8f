"""The page of a report in a real browser: all of it is seen, on a desk and on a phone, and nothing else happens."""

import pytest

from extproc.challenge.page.page import page
from extproc.challenge.report import report
from tests.challenge import documents
from tests.challenge.evidences import AT, realistic, standing, subject
from tests.kit.chromium import Chromium
from tests.kit.stub import ModelStub

HTML = (("content-type", "text/html; charset=utf-8"),)
REPORTS = {
    "number": documents.report(documents.number()),
    "several": documents.report(documents.label(), documents.vector(), documents.text()),
    "nothing": documents.nothing(),
    "hostile": documents.hostile(),
}
every_report = pytest.mark.parametrize("document", REPORTS.values(), ids=REPORTS)
every_screen = pytest.mark.parametrize(
    ("width", "dark"), [(1200, False), (1200, True), (400, False), (400, True)], ids=str
)
# Text that is drawn over other text, or outside its own picture: charts are the only place where that can happen.
CLASHES = """
[...document.querySelectorAll('svg.chart')].flatMap(chart => {
  const boxes = [...chart.querySelectorAll('text.tick')].map(one => [one.textContent, one.getBoundingClientRect()]);
  const page = document.documentElement.clientWidth;
  const out = boxes.filter(([, box]) => box.left < 0 || box.right > page).map(([said]) => said + ' is outside');
  const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
  const over = boxes.flatMap(([said, box], at) => boxes.slice(at + 1)
    .filter(([, other]) => !apart(box, other)).map(([more]) => said + ' is over ' + more));
  return [...out, ...over];
})
"""
COLOUR = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser():
    """One browser for the module."""
    with Chromium() as started:
        yield started


@pytest.fixture
def opened(browser):
    """Opens a report's page as the admin address would serve it."""
    tabs = []
    with ModelStub() as site:

        def open_page(document, **screen):
            site.behave(body=page(document).encode(), headers=HTML)
            tabs.append(browser.open(f"{site.url}/challenges/fraud", **screen))
            return tabs[-1], site

        yield open_page
        for tab in tabs:
            tab.close()


@every_report
@every_screen
def test_nothing_is_wider_than_the_screen(opened, document, width, dark):
    """Only what is in a frame of its own scrolls sideways, and no label of a chart lies on another."""
    tab, _ = opened(document, width=width, dark=dark)
    assert tab.width == {"width": width, "scrolled": width, "wide": []}
    assert tab.evaluate(CLASHES) == []


@every_report
def test_nothing_else_happens(opened, document):
    """One request, for the page itself; nothing in the console, no violation of the page's own policy, no dialog."""
    tab, site = opened(document)
    assert tab.requests == [f"{site.url}/challenges/fraud"]
    assert [seen.path for seen in site.requests] == ["/challenges/fraud"]
    assert tab.complaints == []
    assert tab.dialogs == 0


def test_what_is_seen(opened):
    """Verdict and reason, guardrails, counts and examples are there after layout, and every chart has a size."""
    tab, _ = opened(REPORTS["number"])
    for said in ("Promote gbm", "Every guardrail holds", "97.91%", "✓ pass", "11,880", "Worst disagreements", "0.93"):
        assert said in tab.text
    sizes = tab.evaluate("[...document.querySelectorAll('svg.chart')].map(one => [one.clientWidth, one.clientHeight])")
    assert len(sizes) == 7
    assert all(width > 300 and height > 20 for width, height in sizes)


def test_a_phone_and_a_desk(opened):
    """Cards stand beside each other where there is room, and below each other where there is none."""
    columns = "getComputedStyle(document.querySelector('.cards')).gridTemplateColumns.split(' ').length"
    desk, _ = opened(REPORTS["number"])
    assert desk.evaluate(columns) == 2
    phone, _ = opened(REPORTS["number"], width=400)
    assert phone.evaluate(columns) == 1
    sizes = phone.evaluate(
        "[...document.querySelectorAll('svg.chart text')].map(one => one.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 10


def test_light_and_dark(opened):
    """The page is as its reader prefers."""
    light, _ = opened(REPORTS["number"])
    dark, _ = opened(REPORTS["number"], dark=True)
    assert light.evaluate(COLOUR) == "rgb(245, 246, 248)"
    assert dark.evaluate(COLOUR) == "rgb(13, 17, 23)"


def test_it_is_used_with_a_keyboard(opened):
    """What scrolls takes the focus; a challenger's link leads to its part."""
    tab, _ = opened(REPORTS["several"])
    assert tab.evaluate("[...document.querySelectorAll('.scroll')].every(one => one.tabIndex === 0)")
    tab.evaluate("document.querySelector('a[href=\"#c2\"]').click()")
    assert tab.evaluate("Math.abs(document.getElementById('c2').getBoundingClientRect().top) < 100")


def test_what_a_screen_reader_is_told(opened):
    """The tree for it holds the verdict's heading, the charts' titles with what they show, and the tables' names."""
    tab, _ = opened(REPORTS["number"])
    told = tab.accessible
    assert ("heading", "Promote gbm") in told
    assert ("table", "Latency of both legs") in told
    (chart,) = (name for role, name in told if role == "image" and name.startswith("Agreement over time"))
    assert chart.endswith(
        "At the end, with 11,880 pairs, it is 97.85%, between 97.36% and 98.35%. Asked: at least 97%."
    )


def test_text_from_outside_is_seen_as_text(opened):
    """A label that is markup stands there letter by letter, and makes no element."""
    tab, _ = opened(REPORTS["hostile"])
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in tab.text
    assert tab.evaluate("document.querySelectorAll('script, img').length") == 0


def test_a_report_of_evidence(opened):
    """What is built of evidence is drawn as well."""
    known = standing(gbm={"": realistic(600), "eu": realistic(300)})
    document = report(subject(), known, AT)
    tab, _ = opened(document, width=400)
    assert "900 pairs" in tab.text
    assert tab.evaluate("document.querySelectorAll('.bar').length") > 10
    assert tab.evaluate("document.querySelectorAll('.curve').length") == 2
    assert tab.width["wide"] == []


def test_it_asks_for_itself_again(browser):
    """A page that refreshes is asked for again, and not only once."""
    with ModelStub() as site:
        site.behave(body=page(REPORTS["nothing"], refresh=1).encode(), headers=HTML)
        with browser.open(site.url) as tab:
            tab.until_loaded(3)
        assert len(site.requests) >= 3

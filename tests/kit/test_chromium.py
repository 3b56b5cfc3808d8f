"""The browser of the tests: it tells what a page did, and it is gone when the tests are."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kit import chromium
from tests.kit.chromium import Chromium
from tests.kit.stub import ModelStub

VIEWPORT = (
    "<!doctype html><meta name=viewport content=width=device-width>"  # without it, a phone takes a page for a desk's
)
HTML = (("content-type", "text/html; charset=utf-8"),)
OPENING = """
import time
from tests.kit.chromium import Chromium
with Chromium() as browser:
    browser.open("about:blank")
    print(browser.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def browser():
    """One browser for the module."""
    with Chromium() as started:
        yield started


@pytest.fixture
def site():
    """A server for one page."""
    with ModelStub() as started:
        yield started


def test_it_tells_what_a_page_did(browser, site):
    """Text after layout, what the console holds, and every address that was asked for."""
    site.behave(
        body=b"<head><link rel=icon href=data:,></head><body>plain<script>console.error('loud'); alert; fetch('/more')</script>",
        headers=HTML,
    )
    with browser.open(f"{site.url}/page") as tab:
        assert tab.text == "plain"
        assert "loud" in tab.complaints[0]
        assert tab.requests == [f"{site.url}/page", f"{site.url}/more"]


def test_it_works_beside_many_open_files():
    """A whole run holds more descriptors than select(2) can name."""
    null = os.open(os.devnull, os.O_RDONLY)
    held = [os.dup(null) for _ in range(1100)]
    try:
        with Chromium() as another, another.open("about:blank") as tab:
            assert tab.text == ""
    finally:
        for one in [*held, null]:
            os.close(one)


def test_it_tells_what_a_policy_kept_out(browser, site):
    """A violation of a page's own policy is a complaint, and what it kept out is not asked for at the server."""
    policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
    site.behave(body=f"<head>{policy}</head><body><img src=/image><script>1</script>".encode(), headers=HTML)
    with browser.open(f"{site.url}/page") as tab:
        assert sum("Content Security Policy" in complaint for complaint in tab.complaints) >= 2
        assert [seen.path for seen in site.requests] == ["/page"]


def test_it_tells_what_is_too_wide(browser, site):
    """What reaches beyond the page is named, unless it scrolls by itself."""
    inner = "<div id=inner style='width: 900px'>wide</div>"
    site.behave(
        body=f"{VIEWPORT}<body><div class=scroll style='overflow: auto'>{inner}</div><p id=out style='width: 500px'>out".encode(),
        headers=HTML,
    )
    with browser.open(site.url, width=400) as tab:
        assert tab.width["scrolled"] > tab.width["width"] == 400
        assert ["out" in found for found in tab.width["wide"]] == [True]


def test_each_tab_is_as_dark_as_asked(browser, site):
    """A page is told which colours its reader prefers."""
    site.behave(body=b"<style>@media (prefers-color-scheme: dark) {b {display: none}}</style><b>day</b>", headers=HTML)
    with browser.open(site.url) as day, browser.open(site.url, dark=True) as night:
        assert (day.text, night.text) == ("day", "")


def test_a_picture_is_png(browser, site):
    """The whole page is in it."""
    site.behave(body=f"{VIEWPORT}<body style='height: 3000px'>".encode(), headers=HTML)
    with browser.open(site.url, width=300, height=200) as tab:
        picture = tab.picture()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20]) == 300


def test_the_browser_goes_with_a_killed_test():
    """Nobody has to clear up after a test process that was killed."""
    command = [sys.executable, "-c", OPENING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as test:
        assert test.stdout is not None
        pid = int(test.stdout.readline())
        assert alive(pid)
        test.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + chromium.PATIENCE
    while alive(pid):
        assert time.monotonic() < deadline, f"the browser {pid} lives on"
        os.sched_yield()


def alive(pid: int) -> bool:
    """Whether a process runs: one that is dead and was not yet waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def test_a_missing_browser_is_named(monkeypatch):
    """Where there is no Chromium, a test fails and says what to install."""
    monkeypatch.setattr(chromium, "BINARIES", ("no-such-browser",))
    with pytest.raises(AssertionError, match="apt-get install chromium"):
        chromium.binary()

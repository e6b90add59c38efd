"""Reports in a real browser: they ask the network for nothing, complain of nothing, and fit a phone.

Needs Chromium (Debian: ``apt-get install chromium``) and playwright. Without them these tests are skipped, but fail where
``CI=true``.
"""

import pytest

from brain_tumor.paths import CHECKOUT
from brain_tumor.records import records
from brain_tumor.report.pages import index, page, run as run_page

PUBLISHED = [path for path in (CHECKOUT / "reports").rglob("*.html") if "local" not in path.parts and path.name != page.DEMO]
OF_RUNS = sorted(path for path in PUBLISHED if path.parent.name != "reports")
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


def opened(browser, paths):
    """What a browser asked for and complained of while it showed each file, and in which windows the page is wider than they.

    All are shown in one tab, since each tab is a process of its own.
    """
    requests, complaints = [], []
    tab = browser.new_page()
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    for path in paths:
        requests.clear()
        complaints.clear()
        tab.set_viewport_size(PHONE)
        tab.goto(path.resolve().as_uri(), wait_until="load", timeout=180_000)  # a busy machine is slow, not wrong
        broken = tab.eval_on_selector_all("img", "images => images.filter(image => !image.naturalWidth || !image.alt).length")
        too_wide = []
        for viewport in (PHONE, DESKTOP):
            tab.set_viewport_size(viewport)
            if tab.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                too_wide.append(viewport)
        yield path, [url for url in requests if not url.startswith(("file:", "data:"))], list(complaints), broken, too_wide
    tab.close()


@pytest.mark.parametrize("pages", [
    pytest.param([path for path in PUBLISHED if path.parent.name == "reports"] + OF_RUNS[::6], id="reports"),
    pytest.param(OF_RUNS, id="runs", marks=pytest.mark.long),
])  # fmt: skip
def test_published_reports(browser, pages):
    assert pages
    for path, *faults in opened(browser, pages):
        assert faults == [[], [], 0, []], path


def test_a_new_run_page_and_the_index(browser, make_run, reports):
    made = [run_page.publish_record(records.commit_record(make_run(phantom=False))), index.write()]
    for path, *faults in opened(browser, made):
        assert faults == [[], [], 0, []], path


def test_a_request_would_be_seen(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text('<!doctype html><img alt="x" src="http://127.0.0.1:9/a.png"><p style="width: 600px">wide')
    ((_, requests, complaints, broken, too_wide),) = opened(browser, [path])
    assert requests == ["http://127.0.0.1:9/a.png"]
    assert complaints
    assert broken == 1
    assert too_wide == [PHONE]

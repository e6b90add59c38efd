"""The pages in a real browser: uploads of every kind, the keyboard alone, dark and narrow, nothing asked of the network.

Needs Chromium and playwright. Without them these tests are skipped, but fail where ``CI=true``.
"""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
import waitress

from brain_tumor.inference import stored
from brain_tumor.serve.app import create_app
from brain_tumor.serve.limits import Limits
from brain_tumor.serve.review import Review

WINDOWS = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}


def started(app):
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=8)
    threading.Thread(target=server.run, daemon=True).start()
    return server, f"http://127.0.0.1:{server.effective_port}"


@pytest.fixture(scope="module")
def address(served):
    server, place = started(create_app(served, Limits(upload_bytes=1 << 20)))
    yield place
    server.close()


@pytest.fixture
def tab(browser, address, request):
    """A page of the server."""
    with watched(browser, address, getattr(request, "param", "desktop")) as page:
        yield page


@contextmanager
def watched(browser, address, window):
    """A page that must ask nobody but its server, and complain of nothing but what a test expects."""
    page = browser.new_page(**WINDOWS[window])
    page.set_default_timeout(60_000)
    strangers, complaints = [], []
    page.on("request", lambda sent: None if sent.url.startswith((address, "data:")) else strangers.append(sent.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    yield page
    assert strangers == []
    expected = "the server responded with a status of 4", "Multiple readback operations"  # of a refusal, and of what tests read
    assert [line for line in complaints if not any(words in line for words in expected)] == []
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), "wider than the window"
    page.close()


def hand_in(tab, tmp_path, name, content):
    """Choose a file and send it; its result is there."""
    path = tmp_path / name
    path.write_bytes(content)
    tab.set_input_files("#exam", path)
    tab.click("button:has-text('Predict')")


def pixels(tab):
    """The colours of the picture as it is drawn now."""
    return tab.eval_on_selector(
        ".stage canvas", "canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"
    )


@pytest.mark.parametrize(
    ("tab", "name"),
    [
        *(("desktop", name) for name in ("slice.png", "exam.zip", "flair.nii.gz")),
        # The same page, and `test_api` sends these too.
        *(pytest.param("desktop", name, marks=pytest.mark.long) for name in ("slice.jpg", "slice.tif", "grey.png")),
        ("dark", "exam.zip"),
        ("phone", "exam.zip"),
    ],
    indirect=["tab"],
)
def test_uploads(tab, tmp_path, files, name):
    hand_in(tab, tmp_path, name, files[name])
    tab.wait_for_selector("[data-role=reading]:has-text('probability')")
    assert "tumour" in tab.inner_text(".verdict")
    assert any(value for value in pixels(tab))


def test_the_keyboard_alone(tab, tmp_path, files):
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    while "drawn exam" not in tab.evaluate("document.activeElement.textContent"):
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("[data-role=reading]:has-text('probability')")
    tab.focus(".stage canvas")
    tab.keyboard.press("End")
    last = tab.inner_text("[data-role=number]")
    tab.keyboard.press("ArrowLeft")
    assert tab.inner_text("[data-role=number]") != last
    tab.keyboard.press("Home")
    assert tab.inner_text("[data-role=number]").startswith("1 (1 of ")
    tab.keyboard.press("ArrowLeft")
    assert tab.inner_text("[data-role=number]").startswith("1 (1 of ")
    tab.focus("[data-role=slice]")
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("[data-role=number]").startswith("2 (2 of ")


def test_opacity_changes_the_picture_and_nothing_else(tab, tmp_path, files):
    hand_in(tab, tmp_path, "a.png", files["slice.png"])
    tab.wait_for_selector("[data-role=reading]:has-text('called tumour')")
    some = pixels(tab)
    tab.fill("[data-role=mask]", "0")
    plain = pixels(tab)
    assert plain != some and all(plain[i] == plain[i + 1] == plain[i + 2] for i in range(0, len(plain), 4)), "grey without layers"
    tab.fill("[data-role=brightness]", "100")
    dark = pixels(tab)
    tab.fill("[data-role=brightness]", "200")
    assert all(b == min(255, 2 * a) for a, b in zip(dark[0::4], pixels(tab)[0::4], strict=True))
    tab.fill("[data-role=brightness]", "100")
    tab.fill("[data-role=map]", "100")
    assert pixels(tab) != dark
    tab.fill("[data-role=map]", "0")
    assert pixels(tab) == dark


def test_a_bad_file_is_told_in_place(tab, tmp_path):
    hand_in(tab, tmp_path, "a.png", b"%PDF-1.7")
    tab.wait_for_selector("#status:has-text('no file that can be read here')")
    hand_in(tab, tmp_path, "b.png", b"\x89PNG\r\n\x1a\n" + bytes(2 << 20))
    tab.wait_for_selector("#status:has-text('More than 1 MB')")


def test_what_is_refused_later_is_told_too(tab, tmp_path, files):
    hand_in(tab, tmp_path, "a.zip", files["exam.zip"][:400])
    tab.wait_for_selector(":is(#status, .verdict):has-text('damaged zip')")  # in place, or on a page where it came later


def test_dropped_files(tab, files):
    data = list(files["slice.png"])
    drop = """([form, data]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(data)], 'a.png', {type: 'image/png'}));
      form.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }"""
    tab.evaluate(drop, [tab.query_selector("#upload"), data])
    tab.wait_for_selector("[data-role=reading]:has-text('probability')")


def test_without_scripts(browser, address, tmp_path, files):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    hand_in(page, tmp_path, "a.zip", files["exam.zip"])
    page.wait_for_selector("h2:has-text('Take it along')", timeout=60_000)
    page.wait_for_selector("noscript img", state="visible")  # A picture that is still on its way has no size yet.
    context.close()


@pytest.mark.parametrize("tab", [pytest.param("desktop", marks=pytest.mark.long), "dark", "phone"], indirect=True)
def test_everybody_can_use_the_pages(tab, address):
    for page in ("", "/model", "/login", "/exams/none"):
        tab.goto(f"{address}{page}")
        assert serious(tab) == [], page
    tab.goto(address)
    tab.click("text=Try a drawn exam")
    tab.wait_for_selector("[data-role=reading]:has-text('probability')")
    assert serious(tab) == []


def serious(tab):
    """What axe finds of weight."""
    from axe_playwright_python.sync_playwright import Axe

    rules = Axe().run(tab).response["violations"]
    return [(rule["id"], rule["nodes"][0]["html"][:120]) for rule in rules if rule["impact"] in ("serious", "critical")]


@pytest.fixture(scope="module")
def review_address(phantom_cohort, tmp_path_factory):
    """A server of stored predictions: of each case the expert's mask, a little lower."""
    folder, planes = tmp_path_factory.mktemp("stored"), {}
    for case in phantom_cohort.cases[:2]:
        planes[case.case_id] = np.roll(case.load()[1], 3, axis=1) * np.uint8(255)
        planes[f"{case.case_id}{stored.NUMBERS}"] = np.array(case.slice_numbers)
    np.savez(folder / stored.PREDICTIONS, **planes)
    server, place = started(create_app(None, review=Review(folder, phantom_cohort)))
    yield place
    server.close()


@pytest.mark.parametrize("window", ["phone", "dark", pytest.param("desktop", marks=pytest.mark.long)])
def test_stored_predictions_are_reviewed(browser, window, review_address, phantom_cohort):
    with watched(browser, review_address, window) as page:
        assert serious(page) == []
        page.click(f"text={phantom_cohort.cases[0].case_id}")
        page.wait_for_selector("[data-role=reading]:has-text('probability')")
        assert serious(page) == [] and any(pixels(page))
        before = page.inner_text("[data-role=number]")
        page.focus(".stage canvas")
        page.keyboard.press("ArrowRight")
        assert page.inner_text("[data-role=number]") != before


def test_pages_are_light(tab, address):
    sizes = []
    tab.on("response", lambda answer: sizes.append(len(answer.body())) if answer.request.resource_type != "image" else None)
    tab.click("text=Try a drawn exam")
    tab.wait_for_selector("[data-role=reading]:has-text('probability')")
    page = tab.content()
    assert len(page.encode()) < 30_000
    sizes.clear()
    tab.reload()
    tab.wait_for_selector("[data-role=reading]:has-text('probability')")
    assert sum(sizes) < 60_000

"""People at the page, in headless Chromium."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chromium import chromium, needed, webdriver
from gan_lightning.evaluation.hype.answers import read_answers
from gan_lightning.evaluation.hype.study import Design

pytestmark = needed


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


class Page:
    """The actions of a person on the page."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        browser.get(address)
        self.until(lambda: self.find("welcome").is_displayed())

    def find(self, identifier: str) -> Any:
        return self.browser.find_element("id", identifier)

    def until(self, condition: Callable[[], Any]) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, 30, poll_frequency=0.02).until(lambda _: condition())

    def start(self, name: str) -> None:
        self.find("name").send_keys(name)
        self.browser.find_element("css selector", "#join button").click()

    def asked(self) -> bool:
        return self.find("trial").is_displayed() and self.find("real").get_attribute("aria-disabled") == "false"

    def asked_for(self, count: str) -> None:
        """Wait for the question about the image of that number."""
        self.until(lambda: self.asked() and self.find("count").text == count)

    def press(self, keys: str) -> None:
        webdriver.ActionChains(self.browser).send_keys(keys).perform()

    def settled(self, count: int, answers: Path) -> None:
        self.until(lambda: len(read_answers(answers).answers) == count)

    def stage(self) -> list[int]:
        """Red, green, blue and alpha of a pixel in the middle of the stage."""
        return self.browser.execute_script(
            "const c = document.getElementById('canvas');"
            "return [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]"
        )

    def complaints(self) -> list[Any]:
        """Errors in the browser's console since this was last asked."""
        return [entry for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_infinity_by_buttons_and_keys(browser: Any, serve: Callable) -> None:
    served = serve(Design("infinity", 6, 0, 0))
    page = Page(browser, served.server.url)
    assert "6 images" in page.find("task").text
    page.start("Anna")
    for count in range(6):
        page.until(page.asked)
        assert page.find("count").text == f"{count + 1} of 6"
        assert page.stage()[3] == 255  # it is there for as long as it takes
        if count % 2:
            page.press("r")
        else:
            page.find("fake").click()
        page.settled(count + 1, served.answers)
    page.until(lambda: page.find("score").is_displayed())
    assert "Thank you" in page.find("title").text
    answers = read_answers(served.answers).answers
    assert [answer.said_real for answer in answers] == [False, True] * 3
    right = round(100 * sum(answer.correct for answer in answers) / 6)
    assert f"You were right in\n{right} %" in page.find("score").text
    assert not page.complaints()

    browser.get(served.server.url + "/results")
    assert "1 finished, 6 answers" in page.find("summary").text
    assert f"{100 - 100 * sum(answer.correct for answer in answers) / 6:.1f} %" in browser.page_source
    assert not page.complaints()


def test_time_with_its_masks_rests_and_measured_exposures(browser: Any, serve: Callable) -> None:
    served = serve(Design("time", 2, 0, 0))
    page = Page(browser, served.server.url)
    assert "flashing" in page.find("facts").text
    page.start("ben")
    for count in range(6):
        if count and count % 2 == 0:
            page.until(lambda: page.find("message").is_displayed())
            assert page.find("title").text == f"Part {count // 2} of 3 is done."
            page.find("go").click()
        page.until(lambda: page.find("countdown").text == "2")
        page.press("f")  # too early: nothing has been asked
        page.until(page.asked)
        assert page.stage()[3] == 0  # it is gone
        page.press("r") if count % 2 else page.find("real").click()
        page.settled(count + 1, served.answers)
        correct = read_answers(served.answers).answers[-1].correct
        verdict = "✓ Right: it is real." if correct else "✗ Wrong: it is fake."
        page.until(lambda verdict=verdict: page.find("question").text == verdict)
    page.until(lambda: page.find("score").is_displayed())
    assert " ms" in page.find("score").text
    answers = read_answers(served.answers).answers
    assert all(answer.said_real for answer in answers)
    for first, second in zip(answers[::2], answers[1::2], strict=True):
        assert (first.exposure, second.exposure) == (500, 490 if first.correct else 530)
    for answer in answers:
        assert answer.shown > answer.exposure - 10  # at most half a frame early; late where the machine is busy
    assert min(answer.shown - answer.exposure for answer in answers) < 20
    assert not page.complaints()


def test_image_and_noise_are_shown_one_after_the_other(browser: Any, serve: Callable) -> None:
    served = serve(Design("time", 2, 0, 0))
    page = Page(browser, served.server.url)
    browser.execute_script("""
        window.drawn = [];
        const draw = CanvasRenderingContext2D.prototype.drawImage;
        CanvasRenderingContext2D.prototype.drawImage = function (picture, ...rest) {
            if (this.canvas.id === "canvas") drawn.push([picture.tagName, performance.now()]);
            return draw.call(this, picture, ...rest);
        };
    """)
    page.start("carl")
    page.until(page.asked)
    drawn = browser.execute_script("return drawn")
    assert [kind for kind, _ in drawn] == ["IMG"] + ["CANVAS"] * 4
    times = [time for _, time in drawn]
    assert times[1] - times[0] > 480
    assert all(later - earlier > 15 for earlier, later in pairwise(times[1:]))


def test_a_reload_goes_on_and_a_bad_name_is_refused(browser: Any, serve: Callable) -> None:
    served = serve(Design("infinity", 4, 0, 0))
    page = Page(browser, served.server.url)
    page.start("\u202e")
    page.until(lambda: "1 to 64" in page.find("refusal").text)
    page.find("name").clear()
    page.start("")
    page.until(page.asked)
    page.press("r")
    page.asked_for("2 of 4")
    given = page.find("person").text
    assert given.startswith("guest-")

    browser.refresh()
    page.until(lambda: page.find("welcome").is_displayed())
    assert page.find("name").get_attribute("value") == given
    page.start("")
    page.asked_for("2 of 4")
    assert read_answers(served.answers).people == [given]
    page.complaints()  # the refusal's


def test_a_failing_server_is_reported_and_tried_again(
    browser: Any, serve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(Design("infinity", 4, 0, 0))
    page = Page(browser, served.server.url)
    page.start("dora")
    page.until(page.asked)

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        page.press("f")
        page.until(lambda: "person who runs this study" in page.find("text").text)
    page.find("go").click()
    page.asked_for("1 of 4")
    page.press("f")
    page.settled(1, served.answers)
    page.complaints()


def test_tutorial_that_is_not_passed(browser: Any, serve: Callable) -> None:
    served = serve(Design("infinity", 4, 2, 0))
    page = Page(browser, served.server.url)
    page.start("emil")
    for count in range(2):
        page.asked_for(f"{count + 1} of 2")
        page.press("r")
    page.until(lambda: page.find("title").text == "Thank you for trying.")
    assert served.server.report().unqualified == 1
    assert not page.complaints()


def test_everything_can_be_reached_and_read(browser: Any, serve: Callable) -> None:
    """By keyboard alone, on a narrow screen, in both colour schemes."""
    served = serve(Design("infinity", 4, 0, 0))
    phone = {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        for scheme in ("light", "dark"):
            feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
            page = Page(browser, f"{served.server.url}/?{scheme}")  # a new page, not the one that the name is kept in
            assert browser.switch_to.active_element.tag_name == "h1"
            page.press(webdriver.Keys.TAB + scheme + webdriver.Keys.TAB + webdriver.Keys.ENTER)
            page.until(page.asked)
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            bottom = browser.execute_script("return document.getElementById('fake').getBoundingClientRect().bottom")
            assert wide <= 360
            assert bottom <= 640  # image and buttons fit without scrolling
            page.press(webdriver.Keys.TAB + webdriver.Keys.ENTER)
            page.asked_for("2 of 4")
            assert browser.switch_to.active_element.get_attribute("id") == "real"  # the focus stays
            assert contrast(browser, "question") > 7
            assert contrast(browser, "real") > 7
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def contrast(browser: Any, identifier: str) -> float:
    """Ratio of luminances of an element's text and of what is behind it, as WCAG 2 defines it."""
    colours = browser.execute_script(
        """
        let at = document.getElementById(arguments[0]);
        const text = getComputedStyle(at).color;
        while (getComputedStyle(at).backgroundColor === "rgba(0, 0, 0, 0)") at = at.parentElement;
        return [text, getComputedStyle(at).backgroundColor].map((colour) => colour.match(/\\d+/g).map(Number));
        """,
        identifier,
    )

    def luminance(colour: list[float]) -> float:
        linear = [(v / 255 / 12.92 if v / 255 <= 0.03928 else ((v / 255 + 0.055) / 1.055) ** 2.4) for v in colour[:3]]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, colours))
    return (high + 0.05) / (low + 0.05)

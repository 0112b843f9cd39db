"""Visitors at the demo, in headless Chromium."""

import base64
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from chromium import chromium, needed, webdriver
from gan_lightning.cli.commands import main
from gan_lightning.export import load
from gan_lightning.inference import Translator
from gan_lightning.inference.stored import translate_image
from toys import read_png

pytestmark = needed
SEED = "#seed :is(input, textarea)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium"), ("browser", "performance")) as driver:
        yield driver


@pytest.fixture(scope="module")
def pictures(serve: Callable[..., Any], generator: Path) -> Any:
    """The page of a generator."""
    return serve(generator)


@pytest.fixture(scope="module")
def translations(serve: Callable[..., Any], translator: Path) -> Any:
    """The page of a translator."""
    return serve(translator, "--sheet=64")


class Page:
    """A window, and the actions of a visitor in it."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        browser.switch_to.new_window("window")
        self.window = browser.current_window_handle
        browser.set_window_size(1000, 1000)
        browser.get(address)
        self.until(lambda: self.found("#about h1"))

    def found(self, selector: str) -> Any:
        """The element that is displayed, or None."""
        self.browser.switch_to.window(self.window)
        elements = self.browser.find_elements("css selector", selector)
        return next((element for element in elements if element.is_displayed()), None)

    def until(self, condition: Callable[[], Any]) -> Any:
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.browser, 40, 0.05, [StaleElementReferenceException])
        return wait.until(lambda _: condition())

    def click(self, selector: str) -> None:
        self.until(lambda: self.found(selector)).click()

    def tab(self, name: str) -> None:
        self.until(lambda: self._tab(name)).click()

    def _tab(self, name: str) -> Any:
        self.browser.switch_to.window(self.window)
        tabs = self.browser.find_elements("css selector", "button[role=tab]")
        return next((tab for tab in tabs if tab.text == name and tab.is_displayed()), None)

    def says(self, selector: str, words: str) -> str:
        """Wait until an element's text has these words, and return the text."""
        return self.until(lambda: (element := self.found(selector)) and words in (text := element.text) and text)

    def value(self, selector: str) -> str:
        return self.until(lambda: self.found(selector)).get_attribute("value")

    def type(self, seed: str) -> None:
        field = self.until(lambda: self.found(SEED))
        field.send_keys(webdriver.Keys.CONTROL + "a")
        field.send_keys(seed + webdriver.Keys.ENTER)

    def slide(self, selector: str, steps: int) -> None:
        self.until(lambda: self.found(f"{selector} input[type=range]")).send_keys(webdriver.Keys.ARROW_RIGHT * steps)

    def source(self, place: str = "#picture") -> str:
        shown = self.found(f"{place} img")
        return "" if shown is None else shown.get_attribute("src")

    def changed(self, before: str, place: str = "#picture") -> str:
        """Wait for another picture, and return its address."""
        return self.until(lambda: (now := self.source(place)) != before and now)

    def draw(self, place: str) -> None:
        """Draw a stroke in the middle of a canvas."""
        canvas = self.until(lambda: self.found(f"{place} canvas"))
        stroke = webdriver.ActionChains(self.browser).move_to_element(canvas).click_and_hold()
        stroke.move_by_offset(40, 30).move_by_offset(30, -60).release().perform()

    def ready_to_draw(self, place: str) -> None:
        """Wait until the editor has its background, a step that it could undo."""
        self.until(lambda: self.found(f"{place} button[aria-label=Undo]:not([disabled])"))

    def compared(self) -> list[str]:
        """The addresses of the pictures before and after a translation."""
        self.browser.switch_to.window(self.window)
        return [image.get_attribute("src") for image in self.browser.find_elements("css selector", "#before-after img")]

    def fetched(self, address: str) -> bytes:
        script = """
            const [address, done] = arguments;
            fetch(address).then((answer) => answer.blob()).then((blob) => {
                const reader = new FileReader();
                reader.onload = () => done(reader.result.split(",")[1]);
                reader.readAsDataURL(blob);
            });
        """
        self.browser.switch_to.window(self.window)
        return base64.b64decode(self.browser.execute_async_script(script, address))

    def leave(self) -> None:
        self.browser.switch_to.window(self.window)
        self.browser.close()
        self.browser.switch_to.window(self.browser.window_handles[0])


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[[Any], Page]]:
    """Opens a page in a window of its own. At the end, no request has left this machine."""
    browser.get_log("performance")
    pages: list[Page] = []

    def open_page(served: Any) -> Page:
        pages.append(Page(browser, served.url))
        return pages[-1]

    yield open_page
    asked: set[str] = set()
    for page in pages:
        browser.switch_to.window(page.window)
        for entry in browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                asked.add(message["params"].get("request", message["params"])["url"])
    for page in pages:
        page.leave()
    assert len(asked) > 5
    assert not [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]


def pixels(address: str) -> Tensor:
    """The image of a data URL."""
    return pil_to_tensor(Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_a_seed_gives_the_picture_of_the_command_sample(
    visit: Callable[[Any], Page], pictures: Any, generator: Path, tmp_path: Path
) -> None:
    page = visit(pictures)
    assert "synthetic" in page.found("#about").text
    assert "cc-by-4.0" in page.found("#about").text
    first = page.changed("")
    page.type("7:4")
    second = page.changed(first)
    page.click("#class input[value='2']")
    third = page.changed(second)
    assert main(["sample", str(generator), str(tmp_path), "--seeds", "7:4", "--classes", "0,2"]) == 0
    files = [next(tmp_path.glob(f"{name}/7-000004.png")) for name in ("cat", "<b>")]
    assert [torch.equal(pixels(src), read_png(file)) for src, file in zip((second, third), files, strict=True)] == [
        True,
        True,
    ]
    link = page.found("#picture a")
    assert link.get_attribute("href") == third
    assert link.get_attribute("download") == "image-7-4-class-2.png"


def test_a_slider_moves_and_the_picture_changes_and_undo_brings_it_back(
    visit: Callable[[Any], Page], pictures: Any
) -> None:
    page = visit(pictures)
    first = page.changed("")
    page.type("3")
    second = page.changed(first)
    page.click("#find")
    page.until(lambda: page.found("#find") is None)
    page.slide("#direction-1", 9)
    page.until(lambda: page.value("#direction-1 input[type=number]") == "0.9")
    third = page.changed(second)
    assert not torch.equal(pixels(third), pixels(second))
    page.click("#undo")
    page.until(lambda: page.source() == second)
    assert float(page.value("#direction-1 input[type=number]")) == 0
    page.click("#undo")
    page.until(lambda: page.source() == first)
    assert page.value(SEED) == "0"


def test_two_visitors_do_not_disturb_each_other(visit: Callable[[Any], Page], pictures: Any) -> None:
    anna, ben = visit(pictures), visit(pictures)
    start = anna.changed("")
    anna.type("1")
    one = anna.changed(start)
    assert ben.changed("") == start
    ben.type("2")
    two = ben.changed(start)
    assert anna.source() == one != two
    anna.type("4")
    anna.changed(one)
    ben.click("#undo")  # his own step, and not hers
    ben.until(lambda: ben.source() == start)
    anna.click("#undo")
    anna.until(lambda: anna.source() == one)
    ben.click("#random")
    ben.changed(start)
    assert anna.source() == one


def test_a_mistake_is_told_on_the_page_and_changes_nothing(visit: Callable[[Any], Page], pictures: Any) -> None:
    page = visit(pictures)
    first = page.changed("")
    page.type("<b>x</b>")
    assert "<b>x</b>" in page.says(".toast-body", "names no image")
    assert page.source() == first
    page.click("#undo")
    page.until(lambda: page.value(SEED) == "0")


def test_ways_between_two_pictures(visit: Callable[[Any], Page], pictures: Any) -> None:
    page = visit(pictures)
    page.tab("Between two pictures")
    middle = page.changed("", "#middle")
    page.slide("#place", 9)
    page.changed(middle, "#middle")
    page.click("#strip")
    assert pixels(page.changed("", "#wide")).shape == (1, 36, 8 * 34 + 2)
    page.click("#gif")
    page.until(lambda: page.source("#middle").startswith("data:image/gif"))


def test_the_model_follows_strokes(visit: Callable[[Any], Page], pictures: Any) -> None:
    page = visit(pictures)
    page.tab("Paint")
    page.click("#begin")
    before = page.changed("", "#painted")
    page.ready_to_draw("#canvas")
    page.draw("#canvas")
    page.click("#follow")
    after = page.changed(before, "#painted")
    page.click("#answers input[value='1']")
    page.changed(after, "#painted")
    page.click("#undo-painting")
    page.until(lambda: page.source("#painted") == after)
    page.click("#undo-painting")
    page.until(lambda: page.source("#painted") == before)


def test_a_drawing_is_translated(visit: Callable[[Any], Page], translations: Any, translator: Path) -> None:
    page = visit(translations)
    page.tab("Draw")
    page.ready_to_draw("#editor")
    page.draw("#editor")
    page.click("#translate-drawing")
    page.says("#said", "a_to_b, 64x64 pixels")
    page.until(lambda: len(page.compared()) == 2)
    before, after = (pil_to_tensor(Image.open(BytesIO(page.fetched(each)))) for each in page.compared())
    assert before.shape == (3, 64, 64)
    assert 0 < (before < 128).sum() < before.numel() / 2  # black on white
    assert torch.equal(after, translate_image(cast(Translator, load(translator)), before, "a_to_b"))


def test_uploads_go_both_ways_and_are_deleted(
    visit: Callable[[Any], Page], translations: Any, translator: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[271] = "a camera"
    noise = torch.randint(0, 256, (33, 21, 3), dtype=torch.uint8)
    Image.fromarray(noise.numpy()).save(tmp_path / "my photo.png", exif=exif)
    (tmp_path / "bad.png").write_text("no image")
    at_first = {*translations.files()}

    page = visit(translations)
    choose = "#upload input[type=file]"
    page.browser.find_element("css selector", choose).send_keys(str(tmp_path / "my photo.png"))
    page.says("#said", "a_to_b, 21x33 pixels")
    page.click("#way input[value=b_to_a]")
    page.click("#translate-upload")
    page.says("#said", "b_to_a")
    page.until(lambda: len(page.compared()) == 2)
    before, after = (Image.open(BytesIO(page.fetched(each))) for each in page.compared())
    assert not before.getexif()
    wanted = translate_image(cast(Translator, load(translator)), noise.permute(2, 0, 1), "b_to_a")
    assert torch.equal(pil_to_tensor(after), wanted)
    page.click("#undo")
    page.says("#said", "a_to_b")

    other = visit(translations)
    other.browser.find_element("css selector", choose).send_keys(str(tmp_path / "bad.png"))
    other.says(".toast-body", "damaged")
    assert len(translations.files()) > len(at_first)
    for each in (page, other):
        each.browser.switch_to.window(each.window)
        each.browser.get("about:blank")  # both leave
    page.until(lambda: {*translations.files()} <= at_first)


@pytest.mark.parametrize("path", ["http://127.0.0.1:9/x.png", "{own}", "/etc/passwd"])
def test_no_visitor_reads_files_of_the_server(translations: Any, tmp_path: Path, path: str) -> None:
    import httpx  # comes with Gradio

    Image.new("L", (32, 32)).save(tmp_path / "own.png")
    path = path.format(own=tmp_path / "own.png")
    ask = httpx.Client(base_url=translations.url, timeout=30)
    config = ask.get("/config").json()
    ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    event = next(each for each in config["dependencies"] if ids["upload"] in each["inputs"])
    sent = {"path": path, "url": None, "orig_name": "x.png", "meta": {"_type": "gradio.FileData"}}
    data = [sent if part == ids["upload"] else None for part in event["inputs"]]
    job = {"data": data, "fn_index": event["id"], "session_hash": "../../x"}
    assert ask.post("/gradio_api/queue/join", json=job).status_code == 200
    with ask.stream("GET", "/gradio_api/queue/data", params={"session_hash": "../../x"}) as answer:
        told = next(line for line in answer.iter_lines() if "process_completed" in line)
    assert '"success":false' in told
    assert "Send a file" in told
    assert ask.get(f"/gradio_api/file={path}").status_code == 403
    assert not any(file.name in ("own.png", "passwd") for file in translations.files())

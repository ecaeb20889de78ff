"""The page at `/`, in a real Chromium against the running service."""

from __future__ import annotations

import io
import json
import re
import string
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import skimage.data
from PIL import Image, ImageDraw
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from shared import images
from tests.programs import need
from tests.service import Service
from tests.web.test_api_keys import make

pytestmark = pytest.mark.service

CHROMIUM, CHROMEDRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it refuses to start for root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_S = 20

# What model `tags` looks at, as the HTTP contract says it.
WINDOW = images.Crop(224, 224, fraction=0.8)
PATCH = images.Crop(9, 9, pixels=9)


def photograph(name: str) -> images.Pixels:
    """Return a photo that comes with scikit-image: uint8 [height, width, 3]."""
    pixels: images.Pixels = getattr(skimage.data, name)()
    return pixels


class Page:
    """The page in the browser, in the words of a person who uses it."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        browser.get(url)

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def run(self, script: str) -> Any:
        return self.browser.execute_script(script)

    def press(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()

    def choose(self, photo: Path) -> None:
        self.find("#file").send_keys(str(photo))

    def type_point(self, x: int, y: int) -> None:
        for axis, value in (("#x", x), ("#y", y)):
            self.find(axis).clear()
            self.find(axis).send_keys(str(value))

    def point(self) -> tuple[int, int]:
        x, y = (self.find(axis).get_property("value") for axis in ("#x", "#y"))
        return int(str(x)), int(str(y))

    def wait(self, holds: Callable[[], Any]) -> None:
        WebDriverWait(self.browser, WAIT_S, poll_frequency=0.05).until(lambda _: holds())

    def answered_point(self) -> tuple[int, int] | None:
        """Return the point that the answer shown is for; None while there is none."""
        found = re.match(r"At (\d+), (\d+): .+ %, .+ %\.$", self.text("#status"))
        return (int(found[1]), int(found[2])) if found else None

    def wait_answer(self) -> None:
        self.wait(lambda: self.answered_point() and self.answered_point() == self.point())

    def wait_problem(self) -> str:
        self.wait(lambda: self.find("#problem").is_displayed())
        return self.text("#problem")

    def labels(self, names: str) -> list[str]:
        found = self.browser.find_elements(By.CSS_SELECTOR, f"#{names} .label")
        return [label.text for label in found]

    def patch(self) -> images.Pixels:
        """Return the magnified pixels that are shown: uint8 [9, 9, 3]."""
        shown = self.run(
            "const c = document.querySelector('#pixels');"
            "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
        return np.array(shown, dtype=np.uint8).reshape(9, 9, 4)[..., :3]

    def errors(self) -> list[str]:
        """Return the console's errors since the last call, but for refused predictions."""
        log = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        errors = [entry for entry in log if entry["level"] == "SEVERE"]
        return [
            entry["message"]
            for entry in errors
            if not (entry["source"] == "network" and "/predict" in entry["message"])
        ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    need(CHROMIUM)
    need(CHROMEDRIVER)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Driver(CHROMEDRIVER))
    chrome.set_window_size(1200, 900)
    yield chrome
    chrome.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, service: Service) -> Iterator[Page]:
    opened = Page(browser, service.url)
    yield opened
    assert opened.errors() == []


@pytest.fixture
def chelsea(tmp_path: Path) -> Path:
    """A photo of a cat, 451 x 300 pixels."""
    path = tmp_path / "chelsea.jpg"
    Image.fromarray(photograph("chelsea")).save(path, quality=92)
    return path


def test_a_chosen_photo_is_answered_with_five_themes_and_five_colours_as_bars(
    page: Page, chelsea: Path
) -> None:
    page.choose(chelsea)
    page.wait_answer()
    assert page.point() == (225, 150)
    for names in ("themes", "colors"):
        assert len(set(page.labels(names))) == 5
        bars = page.browser.find_elements(By.CSS_SELECTOR, f"#{names} .bar > div")
        percents = page.browser.find_elements(By.CSS_SELECTOR, f"#{names} .percent")
        shown = [float(percent.text.strip("<\xa0 %")) for percent in percents]
        assert shown == sorted(shown, reverse=True)
        for bar, percent in zip(bars, shown, strict=True):
            whole = bar.find_element(By.XPATH, "..").size["width"]
            assert bar.size["width"] / whole * 100 == pytest.approx(percent, abs=2)
    timing = page.text("#timing")
    for part in ("Decode", "Queue", "Batch wait", "Inference", "Total", "Batch size"):
        assert part in timing
    assert page.text("#served-by") == "model tags, version 1"


def test_a_click_on_the_photo_moves_the_point_there_and_asks(page: Page, chelsea: Path) -> None:
    page.choose(chelsea)
    page.wait_answer()
    shown = page.run("return document.querySelector('#stage img').getBoundingClientRect()")
    for right, down in ((0.25, 0.75), (0.9, 0.1)):
        offset = (round((right - 0.5) * shown["width"]), round((down - 0.5) * shown["height"]))
        stage = page.find("#stage")
        ActionChains(page.browser).move_to_element_with_offset(stage, *offset).click().perform()
        page.wait_answer()
        # One pixel of the screen is less than one of the photo.
        assert page.point() == pytest.approx((right * 451, down * 300), abs=1)


def test_the_keyboard_alone_moves_the_point_and_asks(page: Page, chelsea: Path) -> None:
    page.choose(chelsea)
    page.wait_answer()
    page.press(*[Keys.ARROW_RIGHT] * 3, Keys.ARROW_UP)
    ActionChains(page.browser).key_down(Keys.SHIFT).send_keys(
        Keys.ARROW_DOWN, Keys.ARROW_LEFT
    ).key_up(Keys.SHIFT).perform()
    assert page.point() == (225 + 3 - 10, 150 - 1 + 10)
    assert "moved" in page.text("#status")
    page.press(Keys.ENTER)
    page.wait_answer()


def test_tab_reaches_everything_with_a_name_and_a_visible_focus(page: Page, chelsea: Path) -> None:
    page.choose(chelsea)
    page.wait_answer()
    reached = []
    for _ in range(6):
        focused = page.browser.switch_to.active_element
        drawn = page.find("#choose") if focused.get_property("id") == "file" else focused
        assert drawn.value_of_css_property("outline-style") == "solid"
        reached.append(focused.accessible_name)
        page.press(Keys.TAB)
    assert reached == ["Photo", "Choose another", "x", "y", "Ask", "Copy"]


def test_a_typed_point_outside_the_photo_is_not_asked(page: Page, chelsea: Path) -> None:
    page.choose(chelsea)
    page.wait_answer()
    page.type_point(450, 300)
    page.find("#y").send_keys(Keys.ENTER)
    assert not page.run("return document.querySelector('#y').checkValidity()")
    assert page.run("return performance.getEntriesByName(new URL('predict', location)).length") == 1
    page.type_point(450, 299)
    page.find("#y").send_keys(Keys.ENTER)
    page.wait_answer()


def test_the_window_and_the_patch_are_those_the_service_cuts(page: Page, tmp_path: Path) -> None:
    photo = tmp_path / "coffee.png"  # without loss, so that every pixel can be compared
    Image.fromarray(photograph("coffee")).save(photo)
    upright = images.open_image(photo.read_bytes(), max_pixels=10**6)
    page.choose(photo)
    page.wait_answer()
    for x, y in ((300, 200), (0, 0), (599, 399), (3, 220), (341, 396)):
        page.type_point(x, y)
        point = images.Point(x, y)
        assert np.array_equal(page.patch(), images.cut(upright, point, PATCH))
        drawn = page.run(
            "const box = (s) => document.querySelector(s).getBoundingClientRect();"
            "const [all, part] = [box('#stage img'), box('#window')];"
            "return [part.left - all.left, part.top - all.top,"
            " part.right - all.left, part.bottom - all.top].map((v) => v * 600 / all.width)"
        )
        assert drawn == pytest.approx(WINDOW.box(upright.size, point), abs=0.1)


def test_a_photo_smaller_than_the_patch_has_its_edge_repeated(page: Page, tmp_path: Path) -> None:
    photo = tmp_path / "tiny.png"
    Image.fromarray(photograph("coffee")[100:106, 300:303]).save(photo)
    page.choose(photo)
    page.wait_answer()
    tiny = images.open_image(photo.read_bytes(), max_pixels=100)
    assert np.array_equal(page.patch(), images.cut(tiny, images.centre(tiny), PATCH))


def test_a_photo_turned_by_exif_is_shown_upright_and_the_point_matches(
    page: Page, tmp_path: Path
) -> None:
    photo = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    stored = Image.fromarray(photograph("chelsea")).transpose(Image.Transpose.ROTATE_90)
    stored.save(photo, quality=95, exif=exif)
    page.choose(photo)
    page.wait_answer()
    assert page.run("return document.querySelector('#stage img').naturalWidth") == 451
    assert page.find("#stage").size["width"] > page.find("#stage").size["height"]
    page.type_point(420, 40)  # not on the photo as it is stored, 300 x 451
    page.press(Keys.ENTER)
    page.wait_answer()
    upright = images.open_image(photo.read_bytes(), max_pixels=10**6)
    cut = images.cut(upright, images.Point(420, 40), PATCH)
    # Two JPEG decoders may differ by a little.
    assert np.abs(page.patch().astype(int) - cut).max() <= 4


def test_the_curl_line_gives_the_same_answer_in_a_shell(page: Page, chelsea: Path) -> None:
    need("curl")
    photo = chelsea.rename(chelsea.with_name('my cat\'s "best", $HOME; photo.jpg'))
    page.choose(photo)
    page.wait_answer()
    page.type_point(120, 80)
    page.press(Keys.ENTER)
    page.wait_answer()
    line = page.text("#curl")
    done = subprocess.run(
        line, shell=True, cwd=photo.parent, capture_output=True, timeout=WAIT_S, check=True
    )
    answer = json.loads(done.stdout)
    assert answer["point"] == {"x": 120, "y": 80}
    for names in ("themes", "colors"):
        assert [found["label"] for found in answer[names]] == page.labels(names)


@pytest.mark.parametrize("clipboard", ["there", "missing, as on plain http"])
def test_the_copy_button_copies_the_curl_line(page: Page, chelsea: Path, clipboard: str) -> None:
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    page.browser.execute_cdp_cmd("Browser.grantPermissions", {"permissions": permissions})
    page.run("return navigator.clipboard.writeText('something else')")
    page.run("window.clipboard = navigator.clipboard")
    if clipboard != "there":
        page.run("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.choose(chelsea)
    page.wait_answer()
    page.find("#copy").click()
    page.wait(lambda: page.text("#copy") == "Copied")
    assert page.run("return window.clipboard.readText()") == page.text("#curl")


def test_a_dropped_and_a_pasted_photo_are_answered(page: Page, chelsea: Path) -> None:
    for event, carrier, name in (
        ("DragEvent", "dataTransfer", "drop"),
        ("ClipboardEvent", "clipboardData", "paste"),
    ):
        page.browser.get(page.url)
        page.browser.execute_script(
            "const carried = new DataTransfer();"
            "carried.items.add(new File([new Uint8Array(arguments[0])], 'cat.jpg'));"
            f"document.body.dispatchEvent(new {event}('{name}',"
            f" {{ {carrier}: carried, bubbles: true, cancelable: true }}));",
            list(chelsea.read_bytes()),
        )
        page.wait(lambda: page.find("#stage").is_displayed())
        page.wait_answer()
        assert "image=@cat.jpg" in page.text("#curl")


def test_a_phone_of_360_pixels_has_no_horizontal_scroll(page: Page, chelsea: Path) -> None:
    phone = {"width": 360, "height": 720, "deviceScaleFactor": 2, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.browser.get(page.url)
        width = "return document.documentElement.scrollWidth"
        assert page.run(width) == 360
        page.choose(chelsea.rename(chelsea.with_name("x" * 150 + ".jpg")))
        page.wait_answer()
        assert page.run(width) == 360
        assert page.find("#stage").size["width"] > 300
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_asked_of_another_origin(page: Page, chelsea: Path) -> None:
    page.choose(chelsea)
    page.wait_answer()
    asked = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    own = page.url.rstrip("/") + "/"
    assert {own + "predict", own + "models", own + "static/style.css"} <= set(asked)
    assert [address for address in asked if not address.startswith((own, f"blob:{own}"))] == []
    policy = requests.get(page.url, timeout=WAIT_S).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_photo_that_the_service_refuses_shows_why_in_words(page: Page, chelsea: Path) -> None:
    whole = chelsea.read_bytes()
    chelsea.write_bytes(whole[: len(whole) // 2])  # the browser shows half, the service refuses
    page.choose(chelsea)
    title, detail, *_ = page.wait_problem().splitlines()
    refused = requests.post(
        page.url.rstrip("/") + "/predict",
        files={"image": io.BytesIO(chelsea.read_bytes())},
        timeout=WAIT_S,
    )
    assert refused.status_code == 422
    assert (title, detail) == (refused.json()["title"], refused.json()["detail"])
    assert not page.find("#lists").is_displayed()


def test_a_file_that_is_no_photo_is_named_in_the_error(page: Page, tmp_path: Path) -> None:
    letter = tmp_path / "letter.jpg"
    letter.write_text("Dear reader")
    page.choose(letter)
    problem = page.wait_problem()
    assert "cannot be shown as a photo" in problem
    assert "letter.jpg" in problem


def test_a_service_out_of_reach_is_said_and_the_next_answer_clears_it(
    page: Page, chelsea: Path
) -> None:
    page.choose(chelsea)
    page.wait_answer()
    line = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    network = "Network.emulateNetworkConditions"
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd(network, {"offline": True, **line})
    page.press(Keys.ENTER)
    assert "cannot be reached" in page.wait_problem()
    page.browser.execute_cdp_cmd(network, {"offline": False, **line})
    page.press(Keys.ENTER)
    page.wait_answer()
    assert not page.find("#problem").is_displayed()


def test_a_full_service_says_when_to_try_again(page: Page, chelsea: Path) -> None:
    page.choose(chelsea)
    page.wait_answer()
    page.run(
        "window.fetch = async () => new Response("
        "JSON.stringify({title: 'Queue full', detail: 'Too many wait.', request_id: 'abc'}),"
        "{status: 503, headers: {'Retry-After': '3'}})"
    )
    page.press(Keys.ENTER)
    assert page.wait_problem().splitlines() == [
        "Queue full",
        "Too many wait.",
        "Try again in 3 seconds.",
        "Request abc",
    ]


def test_an_answer_that_comes_after_a_newer_one_is_not_shown(page: Page, chelsea: Path) -> None:
    page.choose(chelsea)
    page.wait_answer()
    # The first answer from here on arrives late, and as if it could not be stopped.
    page.run(
        "const real = window.fetch; window.held = 0; window.late = 0;"
        "window.fetch = async (url, options) => {"
        "  const first = window.held++ === 0;"
        "  const answer = await real(url, {...options, signal: null});"
        "  if (first) {"
        "    await new Promise((done) => setTimeout(done, 500));"
        "    setTimeout(() => { window.late = 1; }, 100);"
        "  }"
        "  return answer;"
        "}"
    )
    page.press(Keys.ENTER)
    page.press(Keys.ARROW_RIGHT, Keys.ENTER)
    page.wait_answer()
    page.wait(lambda: page.run("return window.late"))
    assert page.answered_point() == (226, 150)


def test_where_a_key_is_needed_the_page_asks_for_it(
    browser: webdriver.Chrome, chelsea: Path, tmp_path: Path
) -> None:
    path = tmp_path / "keys.toml"
    secret = make(path)
    # The browser keeps its connections, and the end waits until they time out.
    settings = {"WORKERS": "1", "WEB_PROCESSES": "1", "HEADER_TIMEOUT_S": "2"}
    with Service(**settings, API_KEYS_FILE=str(path)) as service:
        page = Page(browser, service.url)
        assert "A key is needed" in page.wait_problem()
        assert page.find("#secret").get_property("type") == "password"
        page.find("#secret").send_keys("wrong")
        page.press(Keys.ENTER)
        page.wait(lambda: page.find("#secret").get_property("value") == "")
        assert "A key is needed" in page.wait_problem()
        page.find("#secret").send_keys(secret)
        page.press(Keys.ENTER)
        page.wait(lambda: not page.find("#problem").is_displayed())
        page.choose(chelsea)
        page.wait_answer()
        assert page.text("#curl").startswith('curl -H "X-API-Key: $KEY" -F image=@')
        assert secret not in page.run("return document.documentElement.outerHTML")
        assert [error for error in page.errors() if "401" not in error] == []


def test_a_model_of_characters_shows_all_its_classes_as_columns(
    page: Page, service: Service, tmp_path: Path
) -> None:
    service.wait_for_model("characters")
    photo = tmp_path / "seven.png"
    paper = Image.new("L", (120, 160), 235)
    ImageDraw.Draw(paper).line([(30, 30), (90, 30), (50, 130)], fill=40, width=10)
    paper.save(photo)
    Select(page.find("#model")).select_by_visible_text("characters")
    page.choose(photo)
    page.wait(lambda: re.fullmatch(r"7 [0-9.]+.%\.", page.text("#status")))
    assert page.labels("predictions")[0] == "7"
    columns = page.browser.find_elements(By.CSS_SELECTOR, ".softmax li")
    assert [column.text for column in columns] == [*string.digits, *string.ascii_letters.swapcase()]
    heights = [column.find_element(By.TAG_NAME, "div").size["height"] for column in columns]
    assert max(range(62), key=heights.__getitem__) == 7
    assert not page.find("#x").is_displayed(), "the whole picture counts"
    assert not page.find("#marker").is_displayed()
    Select(page.find("#model")).select_by_visible_text("tags")
    page.wait_answer()
    assert page.find("#x").is_displayed()
    assert len(page.labels("themes")) == 5

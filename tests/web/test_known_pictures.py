"""Pictures whose answer is known, by HTTP: each of the other models sees what a person sees."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.photo_kinds import encode
from tests.service import ROOT, Service
from tests.web.bodies import answer, post, raw

pytestmark = pytest.mark.service


def drawn(text: str, size: int) -> bytes:
    """Return a PNG of a character in black, as high as most of a white square."""
    image = Image.new("L", (size, size), 255)
    font = ImageFont.load_default(0.8 * size)
    ImageDraw.Draw(image).text((size / 2, size / 2), text, 0, font, anchor="mm")
    return encode(image)


def likeliest(service: Service, model: str, picture: bytes) -> list[str]:
    service.wait_for_model(model)
    content = answer(post(service.url, raw(picture), f"/predict/{model}"))
    assert content["model"] == model
    return [entry["label"] for entry in content["predictions"]]


@pytest.mark.parametrize("size", [28, 200])
@pytest.mark.parametrize("model", ["digits", "characters"])
def test_a_seven_is_read_as_a_seven(model: str, size: int, service: Service) -> None:
    assert likeliest(service, model, drawn("7", size))[0] == "7"


def test_a_letter_is_read_as_that_letter(service: Service) -> None:
    assert likeliest(service, "characters", drawn("R", 100))[0] == "R"


def test_a_cat_is_a_cat_and_coffee_is_coffee(service: Service) -> None:
    cat = (ROOT / "examples/photos/cat.jpg").read_bytes()
    assert {"tabby", "tiger_cat", "Egyptian_cat"} & set(likeliest(service, "imagenet", cat)[:3])
    coffee = (ROOT / "examples/photos/coffee.jpg").read_bytes()
    assert likeliest(service, "imagenet", coffee)[0] == "espresso"

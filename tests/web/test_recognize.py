"""The digit service's request and the Keras tutorial's two clients, as their documents say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import requests

from tests.programs import need
from tests.service import ROOT, Service
from tests.web.bodies import answer

pytestmark = pytest.mark.service

# The document's own example, a nine.
NINE = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAA8klEQVR4nGNgGKZAxaLz5PF4VWxSujNe"
    "/QOBX5ens6FJ6c388O/f42Wtv0/8e/owA1VuJlDX7j4OBob9Gse+3f8riiTFUff338sGbhDzkrYb0Ghk"
    "SY/P/56YgRjMCiUPP/37v4gVSdL7w7/7uV2bNq289Ps5UN8LNWQbOdd/+fv/37/fYNf+WS2J5liBjsMb"
    "Js08AZKcJoA9FBb9+/cxmRm7XNmvf/+isEsxpHz69+8yO3Y5s4///n2yxqGx+d+/Lw445Hh//vs3A4cc"
    "z5N//y5w4JD0AwaCEw45hov//nXikmN4/P8leqghQOH/HJxy2AAAN2h6d/tZuR8AAAAASUVORK5CYII="
)


@pytest.fixture(scope="module")
def recognize(service: Service) -> str:
    """The address of the digit service, once its model has a worker."""
    service.wait_for_model("digits")
    return f"{service.url}/recognize"


def test_the_printed_request_is_recognized_as_a_nine(recognize: str) -> None:
    content = answer(requests.post(recognize, json={"image": NINE}, timeout=30))
    assert content["model"] == "digits"
    assert content["predictions"][0]["label"] == "9"
    assert sum(entry["probability"] for entry in content["predictions"]) <= 1.0001


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image": ""},
        {"image": None},
        {"image": "not base64"},
        {"image": "AAAA"},
        {"image": NINE[:200]},
        {"picture": NINE},
        [],
    ],
)
def test_a_broken_image_or_a_missing_field_is_a_400(body: Any, recognize: str) -> None:
    response = requests.post(recognize, json=body, timeout=30)
    assert response.status_code == 400, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 400
    assert response.json()["success"] is False


def test_it_is_asked_by_post_alone(recognize: str) -> None:
    assert requests.get(recognize, timeout=10).status_code == 405


# --- the Keras tutorial

PHOTO = ROOT / "examples" / "photos" / "cat.jpg"
LINES = re.compile(r"(\d)\. (\w.*): (0\.\d{4}|1\.0000)")
CLIENT = """
# import the necessary packages
import requests

# initialize the Keras REST API endpoint URL along with the input
# image path
KERAS_REST_API_URL = "http://localhost:5000/predict"
IMAGE_PATH = "dog.jpg"

# load the input image and construct the payload for the request
image = open(IMAGE_PATH, "rb").read()
payload = {"image": image}

# submit the request
r = requests.post(KERAS_REST_API_URL, files=payload).json()

# ensure the request was successful
if r["success"]:
	# loop over the predictions and display them
	for (i, result) in enumerate(r["predictions"]):
		print("{}. {}: {:.4f}".format(i + 1, result["label"],
			result["probability"]))

# otherwise, the request failed
else:
	print("Request failed")
"""


@pytest.fixture(scope="module")
def imagenet(service: Service) -> str:
    """The address of the tutorial's model, once it has a worker."""
    service.wait_for_model("imagenet")
    return f"{service.url}/predict/imagenet"


def test_the_tutorial_s_curl_line_is_answered(imagenet: str) -> None:
    need("curl")
    command = ["curl", "--silent", "-X", "POST", "-F", f"image=@{PHOTO}", imagenet]
    content = json.loads(subprocess.check_output(command))
    assert content["success"] is True
    assert len(content["predictions"]) == 5
    assert {tuple(entry) for entry in content["predictions"]} == {("label", "probability")}


def test_the_tutorial_s_client_works_with_only_the_url_changed(imagenet: str) -> None:
    code = CLIENT.replace("http://localhost:5000/predict", imagenet)
    code = code.replace("dog.jpg", str(PHOTO))
    printed = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    found = [LINES.fullmatch(line) for line in printed]
    assert [match[1] for match in found if match] == ["1", "2", "3", "4", "5"]
    assert "cat" in printed[0].lower(), printed
    refused = subprocess.check_output(
        [sys.executable, "-c", code.replace(str(PHOTO), __file__)], text=True
    )
    assert refused.strip() == "Request failed"

"""TensorFlow Serving's REST API, asked in exactly the form that its documentation prints."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import requests

from shared.images import Point
from shared.manifest import read_model
from shared.preparation import prepare
from tests.service import ROOT, Service
from tests.web.bodies import answer, form, post

pytestmark = pytest.mark.service

TAGS = read_model(ROOT / "models" / "tags")
LABELS = {item.name: item.labels for item in TAGS.classifiers}
SAME = 1e-4


@pytest.fixture(scope="module")
def whole(service: Service, cat: bytes) -> dict[str, list[float]]:
    """The softmax of the cat, by our own door, in the order of the labels."""
    content = answer(post(service.url, form(cat, top_k=100)))
    return {
        name: [
            {entry["label"]: entry["probability"] for entry in content[name]}[label]
            for label in labels
        ]
        for name, labels in LABELS.items()
    }


@pytest.fixture(scope="module")
def pixels(cat: bytes) -> dict[str, Any]:
    """The tensors that our own door cuts of the cat, one item each, as lists."""
    points: list[Point] = []
    _, tensors = prepare(TAGS, cat, points, 50_000_000)
    return {
        item.name: tensor.tolist() for item, tensor in zip(TAGS.classifiers, tensors, strict=True)
    }


def ask(
    service: Service, body: Any, path: str = "tags:predict", status: int = 200
) -> dict[str, Any]:
    response = requests.post(f"{service.url}/v1/models/{path}", json=body, timeout=30)
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    content: dict[str, Any] = response.json()
    return content


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def apart(one: dict[str, list[float]], other: dict[str, list[float]]) -> float:
    assert list(one) == list(other)
    return max(float(np.abs(np.subtract(one[name], other[name])).max()) for name in one)


# --- status and metadata


@pytest.mark.parametrize("path", ["tags", "tags/versions/1"])
def test_the_status_of_a_version_is_told(path: str, service: Service) -> None:
    response = requests.get(f"{service.url}/v1/models/{path}", timeout=10)
    assert response.status_code == 200
    assert response.json() == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def test_the_metadata_name_the_inputs_and_the_outputs(service: Service) -> None:
    content = requests.get(f"{service.url}/v1/models/tags/metadata", timeout=10).json()
    assert content["model_spec"] == {"name": "tags", "signature_name": "", "version": "1"}
    signature = content["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    shapes = {
        name: [int(axis["size"]) for axis in tensor["tensor_shape"]["dim"]]
        for name, tensor in {**signature["inputs"], **signature["outputs"]}.items()
    }
    assert set(signature["inputs"]) == {"image", "themes", "colors"}
    assert shapes["image"] == [-1]
    assert shapes["colors"] == [-1, 18]


@pytest.mark.parametrize(
    "path", ["nothing", "tags/versions/7", "tags/versions/0", "tags/labels/nothing", "nothing/x"]
)
def test_what_there_is_not_is_a_404(path: str, service: Service) -> None:
    response = requests.get(f"{service.url}/v1/models/{path}", timeout=10)
    assert response.status_code == 404
    assert set(response.json()) == {"error"}


# --- predict


def test_photos_by_row_have_an_object_each(
    service: Service, cat: bytes, whole: dict[str, list[float]], photos: dict[str, bytes]
) -> None:
    body = {"instances": [b64(cat), b64(photos["coffee"]), b64(cat)]}
    first, second, third = ask(service, body)["predictions"]
    assert apart(first, whole) < SAME
    assert apart(third, whole) < SAME
    assert apart(second, whole) > 0.1


def test_photos_by_name_and_by_column(
    service: Service, cat: bytes, whole: dict[str, list[float]]
) -> None:
    named = ask(service, {"instances": [{"image": b64(cat)}]}, "tags/versions/1:predict")
    assert apart(named["predictions"][0], whole) < SAME
    for inputs in ({"image": [b64(cat)]}, [b64(cat)], b64(cat)):
        outputs = ask(service, {"inputs": inputs})["outputs"]
        assert apart({name: rows[0] for name, rows in outputs.items()}, whole) < SAME


def test_pixels_are_taken_as_they_are(
    service: Service, pixels: dict[str, Any], whole: dict[str, list[float]]
) -> None:
    row = {name: items[0] for name, items in pixels.items()}
    body = {"signature_name": "serving_default", "instances": [row, row]}
    for item in ask(service, body)["predictions"]:
        assert apart(item, whole) < SAME
    outputs = ask(service, {"inputs": pixels})["outputs"]
    assert apart({name: rows[0] for name, rows in outputs.items()}, whole) < SAME


def test_an_answer_is_a_softmax(service: Service, cat: bytes) -> None:
    (item,) = ask(service, {"instances": [b64(cat)]})["predictions"]
    for name, labels in LABELS.items():
        assert len(item[name]) == len(labels)
        assert sum(item[name]) == pytest.approx(1, abs=1e-4)


def test_what_came_by_this_door_is_not_fetched_by_another(service: Service, cat: bytes) -> None:
    response = requests.post(
        f"{service.url}/v1/models/tags:predict", json={"instances": [b64(cat)]}, timeout=30
    )
    assert response.status_code == 200
    request_id = response.headers["X-Request-Id"]
    assert requests.get(f"{service.url}/results/{request_id}", timeout=10).status_code == 404


# --- classify


def test_classify_pairs_labels_and_scores(
    service: Service, cat: bytes, whole: dict[str, list[float]]
) -> None:
    body = {"examples": [{"image": b64(cat)}]}
    (first,) = ask(service, body, "tags:classify")["results"]
    assert first[0][0] == "Cats"
    as_list = ask(service, {"examples": [{"image": [b64(cat)]}]}, "tags:classify")["results"]
    assert dict(as_list[0]) == pytest.approx(dict(first), abs=SAME)
    assert len(first) == len(LABELS["themes"])
    named = {"signature_name": "colors", **body}
    (colors,) = ask(service, named, "tags/versions/1:classify")["results"]
    assert dict(colors) == pytest.approx(
        dict(zip(LABELS["colors"], whole["colors"], strict=True)), abs=SAME
    )
    scores = [score for _, score in colors]
    assert scores == sorted(scores, reverse=True)


def test_features_of_the_context_are_every_example_s_and_may_be_flat(
    service: Service, pixels: dict[str, Any], whole: dict[str, list[float]]
) -> None:
    flat = {name: np.ravel(items).tolist() for name, items in pixels.items()}
    body = {
        "signature_name": "colors",
        "context": {"themes": flat["themes"]},
        "examples": [{"colors": flat["colors"]}] * 2,
    }
    for result in ask(service, body, "tags:classify")["results"]:
        assert dict(result)["brown"] == pytest.approx(
            whole["colors"][LABELS["colors"].index("brown")], abs=SAME
        )


# --- what is wrong


def square(length: int, value: Any = 0) -> list[Any]:
    return [[[value] * 3] * length] * length


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "instances"),
        ({"instances": [], "inputs": []}, "instances"),
        ({"instances": []}, "no instances"),
        ({"instances": "x"}, "no instances"),
        ({"instances": [[1, 2]]}, "name them"),
        ({"instances": [{"themes": square(224)}]}, "must be"),
        ({"instances": [{"x": 1}]}, "must be"),
        ({"instances": [{"x": 1}, {"y": 1}]}, "differ in the names"),
        ({"instances": [{"b64": "?"}]}, "base64"),
        ({"instances": [{"b64": 7}]}, "base64"),
        ({"instances": [{"b64": ""}]}, "empty"),
        ({"instances": [{"b64": "AAAA"}]}, "none of JPEG"),
        ({"instances": [{"b64": "/9j/"}]}, "broken"),
        ({"inputs": {"themes": [square(224)] * 2, "colors": [square(9)]}}, "differ in how many"),
        ({"inputs": {"themes": [square(224)], "colors": [square(8)]}}, "not [-1, 9, 9, 3]"),
        ({"inputs": {"themes": [square(224)], "colors": [square(9, "a")]}}, "not a number"),
        ({"inputs": {"themes": [square(224)], "colors": [square(9, 256)]}}, "from 0 to 255"),
        ({"inputs": {"themes": [square(224)], "colors": [square(9, -1)]}}, "from 0 to 255"),
        ({"inputs": {"themes": [square(224)], "colors": [[[1], [1, 2]]]}}, "differ in length"),
        ({"instances": [{"b64": "AAAA"}], "signature_name": "x"}, "no signature"),
        ({"instances": [{"b64": "AAAA"}] * 257}, "257 items"),
        ([], "not an object"),
    ],
)
def test_a_wrong_body_is_a_400_that_says_what_is_wrong(
    body: Any, said: str, service: Service
) -> None:
    content = ask(service, body, status=400)
    assert set(content) == {"error"}
    assert said in content["error"]


@pytest.mark.parametrize("text", ["", "{", '{"instances": [NaN]}', '{"a": 1, "a": 2}', "\x00"])
def test_broken_json_is_a_400(text: str, service: Service) -> None:
    response = requests.post(f"{service.url}/v1/models/tags:predict", data=text, timeout=10)
    assert response.status_code == 400
    assert set(response.json()) == {"error"}


@pytest.mark.parametrize("path", ["nothing:predict", "tags/versions/7:predict", "tags:regress"])
def test_a_model_or_a_method_that_there_is_not_is_a_404(path: str, service: Service) -> None:
    response = requests.post(f"{service.url}/v1/models/{path}", json={}, timeout=10)
    assert response.status_code in (404, 405)
    assert set(response.json()) == {"error"}


def test_a_deadline_that_passes_is_a_504(service: Service, cat: bytes) -> None:
    with service.workers_asleep():
        response = requests.post(
            f"{service.url}/v1/models/tags:predict",
            json={"instances": [b64(cat)]},
            headers={"X-Request-Timeout-Ms": "200"},
            timeout=10,
        )
    assert response.status_code == 504
    assert set(response.json()) == {"error"}


# --- one classifier with one channel


@pytest.fixture(scope="module")
def digits(service: Service) -> npt.NDArray[np.uint8]:
    """A hundred and twenty-eight pictures for model `digits`, once it has a worker."""
    service.wait_for_model("digits")
    return np.random.default_rng(5).integers(0, 256, (128, 28, 28), dtype=np.uint8)


def test_one_output_is_a_plain_list_and_one_channel_needs_no_axis(
    service: Service, digits: npt.NDArray[np.uint8]
) -> None:
    flat = ask(service, {"instances": digits[:3].tolist()}, "digits:predict")["predictions"]
    deep = ask(service, {"inputs": digits[:3, ..., None].tolist()}, "digits:predict")["outputs"]
    assert np.shape(flat) == (3, 10)
    assert np.abs(np.subtract(flat, deep)).max() < SAME


def test_a_batch_of_128_tensors_is_answered_as_each_alone(
    service: Service, digits: npt.NDArray[np.uint8]
) -> None:
    batch = ask(service, {"instances": digits.tolist()}, "digits:predict")["predictions"]
    assert np.shape(batch) == (128, 10)
    for place in (0, 57, 127):
        one = ask(service, {"instances": digits[place : place + 1].tolist()}, "digits:predict")
        assert np.abs(np.subtract(batch[place], one["predictions"][0])).max() < SAME

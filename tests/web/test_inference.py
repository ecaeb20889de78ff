"""The Open Inference Protocol, asked by two clients that nobody here wrote, and by hand."""

from __future__ import annotations

import base64
import json
import struct
import tomllib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import requests
import tritonclient.http as triton_http
from open_inference.openapi import types
from open_inference.openapi.client import OpenInferenceClient
from tritonclient.utils import InferenceServerException

from shared.manifest import read_model
from shared.preparation import prepare
from tests.service import ROOT, Service
from tests.web.bodies import answer, form, post

pytestmark = pytest.mark.service

TAGS = read_model(ROOT / "models" / "tags")
THEMES, COLORS = TAGS.classifiers
SAME = 1e-4
HEADER = "Inference-Header-Content-Length"

Numbers = npt.NDArray[Any]


@pytest.fixture
def triton(service: Service) -> Iterator[Any]:
    """NVIDIA's client."""
    with triton_http.InferenceServerClient(service.url.removeprefix("http://")) as client:
        yield client


@pytest.fixture
def open_inference(service: Service) -> Iterator[Any]:
    """The client that the protocol's own definition was turned into."""
    with httpx.Client(timeout=30) as client:
        yield OpenInferenceClient(base_url=service.url, httpx_client=client)


@pytest.fixture(scope="module")
def pixels(cat: bytes) -> dict[str, Numbers]:
    """The tensors that our own door cuts of the cat."""
    _, tensors = prepare(TAGS, cat, [], 50_000_000)
    return {item.name: tensor for item, tensor in zip(TAGS.classifiers, tensors, strict=True)}


@pytest.fixture(scope="module")
def whole(service: Service, cat: bytes) -> Numbers:
    """The softmax over the colours of the cat, by our own door, in the order of the labels."""
    content = answer(post(service.url, form(cat, top_k=100)))
    likely = {entry["label"]: entry["probability"] for entry in content["colors"]}
    return np.array([likely[label] for label in COLORS.labels])


# --- Triton's client


def given(name: str, values: Numbers, datatype: str, binary: bool = True) -> Any:
    made = triton_http.InferInput(name, values.shape, datatype)
    return made.set_data_from_numpy(values, binary_data=binary)


def wanted(name: str, **how: Any) -> Any:
    return triton_http.InferRequestedOutput(name, **how)


def test_triton_s_client_finds_it_alive_and_ready(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("tags")
    assert triton.is_model_ready("tags", "1")
    assert not triton.is_model_ready("tags", "7")
    assert not triton.is_model_ready("nothing")


def test_triton_s_client_reads_the_metadata(triton: Any) -> None:
    server = triton.get_server_metadata()
    assert server["name"] == "batchpoint"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert server["version"] == project["version"]
    assert {"binary_tensor_data", "classification"} <= set(server["extensions"])
    model = triton.get_model_metadata("tags", "1")
    assert model["versions"] == ["1"]
    assert {"name": "image", "datatype": "BYTES", "shape": [-1]} in model["inputs"]
    assert {"name": "colors", "datatype": "UINT8", "shape": [-1, 9, 9, 3]} in model["inputs"]
    assert {"name": "colors", "datatype": "FP32", "shape": [-1, 18]} in model["outputs"]


@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("binary_output", [True, False])
def test_triton_s_client_sends_tensors_and_gets_the_softmax(
    datatype: str,
    binary: bool,
    binary_output: bool,
    triton: Any,
    pixels: dict[str, Numbers],
    whole: Numbers,
) -> None:
    dtype = np.float32 if datatype == "FP32" else np.uint8
    inputs = [
        given(name, np.repeat(tensor, 2, axis=0).astype(dtype), datatype, binary)
        for name, tensor in pixels.items()
    ]
    outputs = [wanted("colors", binary_data=binary_output)]
    result = triton.infer("tags", inputs, outputs=outputs, request_id="a name of its own")
    response = result.get_response()
    assert response["id"] == "a name of its own"
    assert (response["model_name"], response["model_version"]) == ("tags", "1")
    assert result.as_numpy("themes") is None, "it was not asked for"
    colors = result.as_numpy("colors")
    assert colors.dtype == np.float32
    assert colors.shape == (2, len(whole))
    assert np.abs(colors - whole).max() < SAME


def test_triton_s_client_sends_photos_and_gets_all_outputs(
    triton: Any, cat: bytes, photos: dict[str, bytes], whole: Numbers
) -> None:
    images = np.array([cat, photos["coffee"]], dtype=np.object_)
    result = triton.infer("tags", [given("image", images, "BYTES")])
    assert result.as_numpy("themes").shape == (2, 42)
    assert np.abs(result.as_numpy("colors")[0] - whole).max() < SAME
    assert np.abs(result.as_numpy("colors")[1] - whole).max() > 0.1


@pytest.mark.parametrize("binary", [True, False])
def test_triton_s_client_gets_classes(binary: bool, triton: Any, cat: bytes) -> None:
    images = np.array([cat, cat], dtype=np.object_)
    outputs = [
        wanted("themes", class_count=3, binary_data=binary),
        wanted("colors", class_count=99, binary_data=binary),
    ]
    result = triton.infer("tags", [given("image", images, "BYTES")], outputs=outputs)
    themes = result.as_numpy("themes")
    assert themes.shape == (2, 3)
    assert result.as_numpy("colors").shape == (2, 18)
    first = themes[1][0].decode() if binary else themes[1][0]
    score, index, label = first.split(":")
    assert label == "Cats"
    assert THEMES.labels[int(index)] == "Cats"
    assert 0.5 < float(score) <= 1


def test_triton_s_client_is_told_what_is_wrong(triton: Any, pixels: dict[str, Numbers]) -> None:
    error = InferenceServerException
    inputs = [given("colors", pixels["colors"], "UINT8")]
    with pytest.raises(error, match="they must be"):
        triton.infer("tags", inputs)
    with pytest.raises(error, match="no model 'nothing'"):
        triton.infer("nothing", inputs)
    inputs.append(given("themes", pixels["themes"], "UINT8"))
    with pytest.raises(error, match="deadline"):
        triton.infer("tags", inputs, timeout=1)


def test_triton_s_client_sends_128_tensors_at_once(triton: Any, service: Service) -> None:
    service.wait_for_model("digits")
    pictures = np.random.default_rng(5).integers(0, 256, (128, 28, 28), dtype=np.uint8)
    (name,) = [item["name"] for item in triton.get_model_metadata("digits")["outputs"]]
    batch = triton.infer("digits", [given(name, pictures, "UINT8")]).as_numpy(name)
    assert batch.shape == (128, 10)
    one = triton.infer("digits", [given(name, pictures[77:78], "UINT8")]).as_numpy(name)
    assert np.abs(batch[77] - one[0]).max() < SAME


# --- the protocol's own client


def test_the_protocol_s_own_client_is_served(
    open_inference: Any, pixels: dict[str, Numbers], whole: Numbers
) -> None:
    open_inference.check_server_liveness()
    open_inference.check_server_readiness()
    open_inference.check_model_readiness("tags")
    open_inference.check_model_version_readiness("tags", "1")
    assert open_inference.read_server_metadata().name == "batchpoint"
    metadata = open_inference.read_model_metadata("tags")
    assert [output.name for output in metadata.outputs] == ["themes", "colors"]
    inputs = [
        types.RequestInput(  # type: ignore[call-arg]
            name=name,
            shape=list(tensor.shape),
            datatype="UINT8",
            data=types.TensorData(__root__=tensor.ravel().tolist()),
        )
        for name, tensor in pixels.items()
    ]
    asked = types.InferenceRequest(  # type: ignore[call-arg]
        id="7",
        inputs=inputs,
        outputs=[types.RequestOutput(name="colors")],  # type: ignore[call-arg]
    )
    response = open_inference.model_infer("tags", request=asked)
    assert (response.id, response.model_name, response.model_version) == ("7", "tags", "1")
    (output,) = response.outputs
    assert (output.name, output.shape, output.datatype) == ("colors", [1, 18], "FP32")
    assert np.abs(np.array(output.data.__root__) - whole).max() < SAME


# --- by hand


def infer(service: Service, body: Any, status: int = 200) -> dict[str, Any]:
    response = requests.post(f"{service.url}/v2/models/tags/infer", json=body, timeout=30)
    assert response.status_code == status, response.text
    content: dict[str, Any] = response.json()
    return content


def image(data: str, shape: Any = (1,)) -> dict[str, Any]:
    return {"name": "image", "shape": list(shape), "datatype": "BYTES", "data": [data]}


def test_base64_stands_for_an_image_in_json(service: Service, cat: bytes, whole: Numbers) -> None:
    body = {
        "inputs": [image(base64.b64encode(cat).decode())],
        "outputs": [{"name": "colors"}, {"name": "themes", "parameters": {"classification": 1}}],
    }
    colors, themes = infer(service, body)["outputs"]
    assert np.abs(np.array(colors["data"]) - whole).max() < SAME
    assert themes["shape"] == [1, 1]
    assert themes["data"][0].endswith(":Cats")


def tensor(**other: Any) -> dict[str, Any]:
    return {"name": "colors", "shape": [1, 9, 9, 3], "datatype": "UINT8", "data": [0] * 243} | other


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "not a list of objects"),
        ({"inputs": []}, "must be"),
        ({"inputs": [7]}, "not a list of objects"),
        ({"inputs": [tensor(), tensor()]}, "another has"),
        ({"inputs": [tensor()]}, "must be"),
        ({"inputs": [tensor(name="image")]}, "cannot be UINT8"),
        ({"inputs": [tensor(datatype="BYTES")]}, "cannot be BYTES"),
        ({"inputs": [tensor(datatype="INT64")]}, "are known"),
        ({"inputs": [tensor(shape=[-1])]}, "no shape"),
        ({"inputs": [tensor(shape=[2, 9, 9, 3])]}, "not as many"),
        ({"inputs": [tensor(shape=[1, 9, 9, 3, 1])]}, "too many axes"),
        ({"inputs": [tensor(data=[[1], [1, 2]])]}, "differ in length"),
        ({"inputs": [tensor(data=["1"] * 243)]}, "not a number"),
        ({"inputs": [tensor(parameters={"binary_data_size": 243})]}, "243 bytes"),
        ({"inputs": [tensor(parameters=7)]}, "not an object"),
        ({"inputs": [image("?")]}, "base64"),
        ({"inputs": [image("AAAA", [2])]}, "1 images"),
        ({"inputs": [image("AAAA", [1, 1, 1])]}, "too many axes"),
        ({"inputs": [image("AAAA")]}, "none of JPEG"),
        ({"inputs": [image("AAAA")], "id": 7}, "'id'"),
        ({"inputs": [image("AAAA")], "outputs": [{"name": "x"}]}, "none of themes"),
        ({"inputs": [image("AAAA")], "outputs": [{"name": "colors"}] * 2}, "named twice"),
        ({"inputs": [image("AAAA")], "parameters": {"timeout": "x"}}, "microseconds"),
        ({"inputs": [image("AAAA")], "parameters": {"classification": -1}}, "classification"),
    ],
)
def test_a_wrong_body_is_a_400_that_says_what_is_wrong(
    body: Any, said: str, service: Service
) -> None:
    content = infer(service, body, 400)
    assert set(content) == {"error"}
    assert said in content["error"]


def raw(service: Service, header: Any, binary: bytes, length: str | None = None) -> int:
    text = json.dumps(header).encode()
    response = requests.post(
        f"{service.url}/v2/models/tags/infer",
        data=text + binary,
        headers={HEADER: str(len(text)) if length is None else length},
        timeout=30,
    )
    if response.status_code != 200:
        assert set(response.json()) == {"error"}
    return response.status_code


def test_bytes_that_do_not_fit_are_a_400(service: Service, cat: bytes) -> None:
    def header(size: Any) -> Any:
        parameters = {"binary_data_size": size}
        entry = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": parameters}
        return {"inputs": [entry]}

    framed = struct.pack("<I", len(cat)) + cat
    assert raw(service, header(len(framed)), framed) == 200
    assert raw(service, header(len(framed)), framed + b"more") == 400
    assert raw(service, header(len(framed)), framed[:-1]) == 400
    assert raw(service, header(len(framed) - 1), framed[:-1]) == 400
    assert raw(service, header(3), framed[:3]) == 400
    assert raw(service, header(-1), framed) == 400
    for length in ("", "x", "-1", "0_5", "999999", "1" * 30):
        assert raw(service, header(len(framed)), framed, length) == 400


def test_without_a_worker_it_lives_and_is_not_ready(service: Service) -> None:
    with service.workers_asleep():
        for worker in service.workers():
            service.queue().reap(dead=worker["token"])
        assert requests.get(f"{service.url}/v2/health/live", timeout=5).status_code == 200
        for path in ("health/ready", "models/tags/ready", "models/tags/versions/1/ready"):
            response = requests.get(f"{service.url}/v2/{path}", timeout=5)
            assert response.status_code == 503
            assert set(response.json()) == {"error"}
            assert "Retry-After" in response.headers
    service.wait_for_workers(2)  # it is for other tests, too

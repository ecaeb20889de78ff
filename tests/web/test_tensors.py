"""Bodies of the two doors → tensors: whatever is in them, what is wrong is said by its type."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.manifest import read_model
from shared.settings import Settings
from tests.service import ROOT
from web.bodies import MalformedBodyError
from web.inference import read_inference
from web.instances import read_examples, read_tensors
from web.tensors import TensorError, to_image, to_pixels

TAGS = read_model(ROOT / "models" / "tags")
COLORS = TAGS.classifiers[1]
SQUARE = np.zeros((1, 9, 9, 3), np.uint8)

WORDS = st.sampled_from(
    ["image", "colors", "themes", "b64", "AAAA", "", "UINT8", "FP32", "BYTES", "INT64", "x"]
)
NUMBERS = st.one_of(
    st.integers(-3, 300), st.sampled_from([2**31, 2**63, 10**30]), st.floats(allow_nan=False)
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.just(SQUARE.tolist()))
KEYS = st.sampled_from(
    [
        *("instances", "inputs", "examples", "context", "signature_name", "image", "b64"),
        *("themes", "colors", "name", "shape", "datatype", "data", "parameters", "outputs", "id"),
        *("binary_data_size", "timeout", "classification", "binary_data", "binary_data_output"),
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=5),
        st.fixed_dictionaries({"name": WORDS, "shape": inner, "datatype": WORDS, "data": inner}),
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(KEYS, VALUES, max_size=5)


@settings(max_examples=300, deadline=None)
@given(BODIES)
def test_any_body_of_tensorflow_serving_is_read_or_refused(body: dict[str, Any]) -> None:
    for read in (read_tensors, read_examples):
        with contextlib.suppress(TensorError, MalformedBodyError):
            read(TAGS, body, 5000, 256)


@settings(max_examples=300, deadline=None)
@given(BODIES, st.binary(max_size=300), st.none() | st.integers(-1, 400) | st.text(max_size=3))
def test_any_body_of_open_inference_is_read_or_refused(
    body: dict[str, Any], binary: bytes, length: Any
) -> None:
    text = json.dumps(body).encode()
    header = None if length is None else str(len(text) if length == 0 else length)
    with contextlib.suppress(TensorError, MalformedBodyError):
        read_inference(TAGS, text + binary, header, Settings())


def infer(**fields: Any) -> bytes:
    entry = {"name": "colors", "shape": [1, 9, 9, 3], "datatype": "UINT8", "data": [0] * 243}
    return json.dumps({"inputs": [entry | fields]}).encode()


def test_a_shape_of_a_million_axes_takes_no_time_and_is_not_said_again() -> None:
    for fields in ({}, {"name": "image", "datatype": "BYTES", "data": ["AAAA"]}):
        body = infer(shape=[2**31 - 1] * 90_000, **fields)
        began_s = time.process_time()
        with pytest.raises(TensorError, match="too many axes") as refused:
            read_inference(TAGS, body, None, Settings())
        assert time.process_time() - began_s < 1
        assert len(str(refused.value)) < 200


@pytest.mark.parametrize("data", [[["AAAA"], 5], ["AAAA", ["AAAA"], None], [[["AAAA"]]], 7])
def test_images_that_are_not_all_texts_are_refused(data: Any) -> None:
    body = infer(name="image", shape=[2], datatype="BYTES", data=data)
    with pytest.raises(TensorError):
        read_inference(TAGS, body, None, Settings())


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_numbers_become_pixels(dtype: Any) -> None:
    values = np.arange(243).reshape(1, 9, 9, 3).astype(dtype)
    pixels = to_pixels(values, COLORS)
    assert pixels.dtype == np.uint8
    assert (pixels == values).all()


def test_numbers_are_rounded() -> None:
    pixels = to_pixels(SQUARE + np.array([0.4, 1.6, 254.7]), COLORS)
    assert pixels[0, 0, 0].tolist() == [0, 2, 255]


def test_an_item_may_be_flat() -> None:
    values = np.arange(486).reshape(2, 9, 9, 3) % 256
    flat = values.reshape(2, 243)
    themes = np.zeros((2, 224, 224, 3), np.uint8).tolist()
    for body in (
        {"inputs": {"themes": themes, "colors": flat.tolist()}},
        {"instances": [{"themes": themes[0], "colors": row} for row in flat.tolist()]},
    ):
        query = read_tensors(TAGS, body, 5000, 256)
        assert (query.tensors[1] == values).all()


@pytest.mark.parametrize("highest", [0.9, 1.0])
def test_scaled_numbers_are_refused(highest: float) -> None:
    values = np.linspace(0, highest, 243, dtype=np.float32).reshape(1, 9, 9, 3)
    with pytest.raises(TensorError, match="scaled to 0 to 1; pixels are from 0 to 255"):
        to_pixels(values, COLORS)
    assert to_pixels(np.concatenate([values, SQUARE + 7]), COLORS)[1].max() == 7


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0])
def test_a_dark_item_is_none_that_was_scaled(value: float) -> None:
    assert (to_pixels(SQUARE + value, COLORS) == value).all()


def test_base64_may_be_wrapped() -> None:
    data = bytes(range(256))
    assert to_image(base64.encodebytes(data).decode()) == data
    assert to_image(base64.b64encode(data).decode() + "\r\n") == data
    for wrong in ("AA-A", "AA==AA==", "AAA", "AA AA", "AA\u00a0AA"):
        with pytest.raises(TensorError, match="base64"):
            to_image(wrong)


@pytest.mark.parametrize("value", [-0.1, 255.1, float("nan"), float("inf"), -float("inf")])
def test_what_is_no_pixel_is_refused(value: float) -> None:
    with pytest.raises(TensorError, match="from 0 to 255"):
        to_pixels(SQUARE + value, COLORS)


def test_a_long_text_among_numbers_makes_no_array_as_wide() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TensorError, match="not a number"):
            to_pixels(["1"] * 1000 + ["1" * 1_000_000], COLORS)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "values",
    [
        [[[[1, "1"]]]],
        [[[[1, True]]]],
        [[[[1, None]]]],
        [[[1], 2]],
        [10**400],
        [[[[[[[[[1]]]]]]]]],
        SQUARE[0],
        SQUARE[:, :8],
        SQUARE[:0],
        SQUARE[..., None],
        7,
        [],
        None,
        "x",
        [[["a"]]],
        SQUARE.astype(bool),
        SQUARE.astype(complex),
        SQUARE.astype(object),
        [[1], [1, 2]],
        {"a": 1},
    ],
    ids=str,
)
def test_what_is_no_tensor_of_this_classifier_is_refused(values: Any) -> None:
    with pytest.raises(TensorError):
        to_pixels(values, COLORS)


def test_more_items_than_allowed_are_refused() -> None:
    whole = {"themes": np.zeros((3, 224, 224, 3)), "colors": np.zeros((3, 9, 9, 3))}
    read_tensors(TAGS, {"inputs": whole}, 5000, 3)
    with pytest.raises(TensorError, match="3 items, 1 to 2"):
        read_tensors(TAGS, {"inputs": whole}, 5000, 2)

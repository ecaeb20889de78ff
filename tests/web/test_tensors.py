"""Bodies of the two doors → tensors: whatever is in them, what is wrong is said by its type."""

from __future__ import annotations

import contextlib
import json
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
from web.tensors import TensorError, to_pixels

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


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_numbers_become_pixels(dtype: Any) -> None:
    values = np.arange(243).reshape(1, 9, 9, 3).astype(dtype)
    pixels = to_pixels(values, COLORS)
    assert pixels.dtype == np.uint8
    assert (pixels == values).all()


def test_numbers_are_rounded() -> None:
    pixels = to_pixels(SQUARE + np.array([0.4, 1.6, 254.7]), COLORS)
    assert pixels[0, 0, 0].tolist() == [0, 2, 255]


@pytest.mark.parametrize("value", [-0.1, 255.1, float("nan"), float("inf"), -float("inf")])
def test_what_is_no_pixel_is_refused(value: float) -> None:
    with pytest.raises(TensorError, match="from 0 to 255"):
        to_pixels(SQUARE + value, COLORS)


@pytest.mark.parametrize(
    "values",
    [
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

"""The reader of EMNIST by-class, on small files of its format."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from shared.images import Pixels
from training.characters_data import read_by_class
from training.characters_fonts import LABELS
from training.idx import read_idx


def idx(array: Pixels) -> bytes:
    """Return `array` in the IDX format."""
    magic = {1: 2049, 3: 2051}[array.ndim]
    header = b"".join(number.to_bytes(4, "big") for number in (magic, *array.shape))
    return header + array.tobytes()


def write(folder: Path, images: Pixels, labels: Pixels) -> None:
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        path = folder / f"emnist-byclass-test-{name}-ubyte.gz"
        path.write_bytes(gzip.compress(idx(array)))


def test_images_are_turned_upright_and_labels_are_those_of_the_model(tmp_path: Path) -> None:
    seven = np.zeros((28, 28), np.uint8)
    seven[4, 8:20] = 255  # a bar at the top
    seven[4:24, 19] = 255  # a stroke down at the right
    write(tmp_path, np.stack([seven.T, seven.T]), np.array([7, 61], np.uint8))
    images, labels = read_by_class(tmp_path, "test")
    np.testing.assert_array_equal(images, np.stack([seven, seven]))
    assert [LABELS[label] for label in labels] == ["7", "z"]


def test_labels_beyond_the_model_are_refused(tmp_path: Path) -> None:
    write(tmp_path, np.zeros((1, 28, 28), np.uint8), np.array([62], np.uint8))
    with pytest.raises(ValueError, match="label 62"):
        read_by_class(tmp_path, "test")


def test_as_many_labels_as_images_are_wanted(tmp_path: Path) -> None:
    write(tmp_path, np.zeros((2, 28, 28), np.uint8), np.array([1], np.uint8))
    with pytest.raises(ValueError, match="labels"):
        read_by_class(tmp_path, "test")


def test_a_file_cut_short_is_refused() -> None:
    data = idx(np.zeros((2, 28, 28), np.uint8))
    assert read_idx(data).shape == (2, 28, 28)
    with pytest.raises(ValueError, match="bytes for"):
        read_idx(data[:-1])
    with pytest.raises(ValueError, match="magic"):
        read_idx(b"\0\0\0\0" + data[4:])

"""The reader of PyTorch's old files: it reads a state dict and calls nothing else."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.torch_pickle import MAGIC, PROTOCOL, read_state_dict

# torch's own function and type, without torch: by name, as a pickle holds them (`c` is GLOBAL).
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"ctorch\nFloatStorage\n"


def state_dict(shape: tuple[int, ...], strides: tuple[int, ...], count: int) -> bytes:
    """A pickle of {"weight": a float tensor in storage "7"}, written by hand."""

    def number(value: int) -> bytes:
        return b"I%d\n" % value

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(number(value) for value in values) + b"t"

    storage = b"(Vstorage\n" + STORAGE + b"V7\nVcpu\n" + number(count) + b"NtQ"
    arguments = b"(" + storage + number(0) + numbers(shape) + numbers(strides) + b"I00\nNt"
    return b"(dVweight\n" + REBUILD + arguments + b"Rs."


def write_file(path: Path, tensors: bytes, values: list[float], protocol: int = PROTOCOL) -> None:
    parts = [MAGIC, protocol, {"little_endian": True}]
    head = b"".join(pickle.dumps(part, protocol=2) for part in parts)
    order = pickle.dumps(["7"], protocol=2)
    numbers = np.array([len(values)], "<i8").tobytes() + np.array(values, "<f4").tobytes()
    path.write_bytes(head + tensors + order + numbers)


def test_a_tensor_is_read_by_its_strides(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    write_file(path, state_dict((2, 3), (1, 2), 6), [0, 1, 2, 3, 4, 5])
    arrays = read_state_dict(path)
    np.testing.assert_array_equal(arrays["weight"], [[0, 2, 4], [1, 3, 5]])


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    write_file(path, state_dict((2, 4), (4, 1), 6), [0, 1, 2, 3, 4, 5])
    with pytest.raises(pickle.UnpicklingError, match="beyond its storage"):
        read_state_dict(path)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    write_file(path, state_dict((1,), (1,), 1), [0], protocol=7)
    with pytest.raises(pickle.UnpicklingError, match="not an old PyTorch file"):
        read_state_dict(path)


class _Call:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("called",)


def test_a_pickle_that_names_another_function_is_refused_and_nothing_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    write_file(path, pickle.dumps(OrderedDict(weight=_Call()), protocol=2), [0])
    with pytest.raises(pickle.UnpicklingError, match="mkdir is not part of a state dict"):
        read_state_dict(path)
    assert not (tmp_path / "called").exists()

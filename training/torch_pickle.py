"""Reads a PyTorch state dict of the old format (before 1.6) with numpy alone.

Such a file is four pickles (magic number, protocol, system, state dict), a fifth with the order
of the storages, then each storage as an int64 length and its raw little-endian numbers. A pickle
may name any function to call, so the reader knows only the handful that a state dict needs.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@dataclass(frozen=True)
class _Tensor:
    """Where a tensor lies: a storage's key and type, then offset, shape and strides in items."""

    key: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: tuple[str, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(*storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a state dict")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"{kind} is not part of a state dict")
        return key, dtype


def read_state_dict(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of `path` by name, in torch's own axis order.

    Raises `pickle.UnpicklingError` for a file that is anything else.
    """
    with path.open("rb") as file:
        if _Unpickler(file).load() != MAGIC or _Unpickler(file).load() != PROTOCOL:
            raise pickle.UnpicklingError(f"{path}: not an old PyTorch file")
        if not _Unpickler(file).load()["little_endian"]:
            raise pickle.UnpicklingError(f"{path}: big-endian")
        tensors: dict[str, _Tensor] = _Unpickler(file).load()
        order: list[str] = _Unpickler(file).load()
        dtypes = {tensor.key: np.dtype(tensor.dtype) for tensor in tensors.values()}
        storages = {}
        for key in order:
            count = int(np.fromfile(file, "<i8", 1)[0])
            storages[key] = np.fromfile(file, dtypes[key], count)
    arrays = {}
    for name, tensor in tensors.items():
        flat = storages[tensor.key][tensor.offset :]
        steps = zip(tensor.shape, tensor.strides, strict=True)
        if sum((length - 1) * step for length, step in steps) >= len(flat):
            raise pickle.UnpicklingError(f"{path}: {name} reaches beyond its storage")
        strides = tuple(step * flat.itemsize for step in tensor.strides)
        view = np.lib.stride_tricks.as_strided(flat, tensor.shape, strides)
        arrays[name] = np.ascontiguousarray(view)
    return arrays

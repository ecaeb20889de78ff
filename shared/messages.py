"""The wire contract: what a request and a result are as bytes.

A request is a fixed header, descriptors of its tensors, a context, and the raw tensor bytes
(little-endian throughout):

    offset  size  what
    0       4     magic, b"BPRQ"
    4       1     version, 2
    5       1     number of tensors, one per classifier that is asked
    6       2     items: the length of each tensor's first axis
    8       4     timeout_ms: what was left of the request's budget when it was enqueued
    12      2     top_k: how many labels to answer with; 0: the whole softmax
    14      2     length of the context
    16      32    id, hexadecimal text
    48      32    mailbox token of the web process that waits, or 32 NULs when none does
    80            per tensor: place of its classifier in the model (1), dtype code (1), axes (1),
                  then each axis's length (4 each)
                  the context: bytes that come back in the result untouched
                  the tensors

The scripts in `lua/` read items, timeout, id and mailbox at these offsets. A result is JSON:
`Result`'s fields, so that any client of Redis can read one; in a mailbox it is a list of them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = b"BPRQ"
_VERSION = 2
_HEADER = struct.Struct("<4sBBHIHH32s32s")
_NOBODY = bytes(32)
_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("<f4")}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}

_encode_json = json.JSONEncoder(separators=(",", ":")).encode

Tensor = npt.NDArray[Any]


class MessageError(ValueError):
    """Bytes that are not a message of this version."""


@dataclass(frozen=True)
class Request:
    """One request as it travels: `items` things to classify, a tensor per classifier asked."""

    id: str  # 32 hexadecimal digits
    tensors: Sequence[Tensor]  # each [items, ...], uint8 or float32
    timeout_ms: int
    top_k: int = 5
    mailbox: str = ""  # token of the web process that waits; empty when none does
    context: bytes = b""
    # Per tensor the place of its classifier in the model; empty: it is the tensors' own.
    classifiers: tuple[int, ...] = ()

    @property
    def asked(self) -> tuple[int, ...]:
        """The places, in the model, of the classifiers that are asked."""
        return self.classifiers or tuple(range(len(self.tensors)))

    @property
    def items(self) -> int:
        """How many things there are to classify."""
        return len(self.tensors[0])

    def encode(self) -> bytes:
        """Return the request as bytes."""
        parts = [
            _HEADER.pack(
                _MAGIC,
                _VERSION,
                len(self.tensors),
                self.items,
                self.timeout_ms,
                self.top_k,
                len(self.context),
                self.id.encode("ascii"),
                self.mailbox.encode("ascii") or _NOBODY,
            )
        ]
        for place, tensor in zip(self.asked, self.tensors, strict=True):
            code, axes = _CODES[tensor.dtype], tensor.ndim
            parts.append(struct.pack(f"<BBB{axes}I", place, code, axes, *tensor.shape))
        parts.append(self.context)
        parts += [np.ascontiguousarray(tensor).data for tensor in self.tensors]  # type: ignore[misc]
        return b"".join(parts)

    @classmethod
    def decode(cls, payload: bytes) -> Request:
        """Read a request; its tensors are views of `payload`. Raises `MessageError`."""
        try:
            return cls._decode(payload)
        except (struct.error, KeyError, ValueError) as error:
            raise MessageError(f"not a request: {error}") from error

    @classmethod
    def _decode(cls, payload: bytes) -> Request:
        magic, version, count, items, timeout_ms, top_k, context_length, id_, mailbox = (
            _HEADER.unpack_from(payload)
        )
        if (magic, version) != (_MAGIC, _VERSION):
            raise MessageError(f"magic {magic!r}, version {version}")
        offset = _HEADER.size
        places: list[int] = []
        shapes: list[tuple[np.dtype[Any], tuple[int, ...]]] = []
        for _ in range(count):
            place, code, axes = struct.unpack_from("<BBB", payload, offset)
            shape = struct.unpack_from(f"<{axes}I", payload, offset + 3)
            if shape[:1] != (items,):
                raise MessageError(f"a tensor of shape {shape} among {items} items")
            places.append(place)
            shapes.append((_DTYPES[code], shape))
            offset += 3 + 4 * axes
        context = payload[offset : offset + context_length]
        offset += context_length
        tensors = []
        for dtype, shape in shapes:
            length = int(np.prod(shape, dtype=np.int64))
            tensors.append(np.frombuffer(payload, dtype, length, offset).reshape(shape))
            offset += length * dtype.itemsize
        if offset != len(payload) or not tensors:
            raise MessageError(f"{len(payload)} bytes where the header says {offset}")
        return cls(
            id=id_.decode("ascii"),
            tensors=tensors,
            timeout_ms=timeout_ms,
            top_k=top_k,
            mailbox=mailbox.strip(b"\0").decode("ascii"),
            context=context,
            classifiers=tuple(places),
        )


@dataclass(frozen=True)
class Result:
    """What became of a request.

    `error` is empty, `expired` (its deadline passed before it ran), `lost` (workers died of it)
    or `failed` (the engine refused it).
    """

    id: str
    error: str = ""
    # Per item: {JSON key of a classifier: [{"label": ..., "probability": ...}, ...]}
    items: list[dict[str, list[dict[str, Any]]]] = field(default_factory=list)
    # In place of the items where top_k was 0: per classifier, base64 of float32 [items, labels]
    softmax: dict[str, str] = field(default_factory=dict)
    version: str = ""  # of the model
    batch_size: int = 0  # items in the batch that it ran in
    timing_ms: dict[str, float] = field(default_factory=dict)  # queue, batch_wait, inference
    context: str = ""

    def encode(self) -> bytes:
        """Return the result as JSON."""
        return _encode_json(vars(self)).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Result:
        """Read a result. Raises `MessageError`."""
        results = decode_results(b"[" + payload + b"]")
        if not results:
            raise MessageError("not a result: nothing")
        return results[0]


def decode_results(payload: bytes) -> list[Result]:
    """Read a JSON list of results. Raises `MessageError`."""
    try:
        return [Result(**fields) for fields in json.loads(payload)]
    except (TypeError, ValueError) as error:
        raise MessageError(f"not a result: {error}") from error

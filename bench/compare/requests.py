"""What is sent and what must come back: the bytes of HTTP requests, and their right answers."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POINT = struct.Struct("<ii")

NEAR = 0.001  # probabilities this near are the same: engines round, by batch in the sixth digit

Labels = list[dict[str, float | str]]
Right = dict[str, dict[str, float]]  # classifier -> label that may come first -> probability


@dataclass(frozen=True)
class Call:
    """One thing to ask: a photo's file name and the point."""

    photo: str
    x: int
    y: int


def read_calls(folder: Path) -> list[Call]:
    """Return what to ask of the photos in `folder`."""
    return [Call(**entry) for entry in json.loads((folder / "calls.json").read_text())]


def encode(dialect: str, path: str, call: Call, photo: bytes) -> bytes:
    """Return one HTTP request, head and body.

    `dialect` is how a server is told the point. `query`: the photo is the body, ?x=&y= its point.
    `prefix`: for servers that hand over nothing but the body, two 32-bit numbers go before the
    photo, which is cheaper than any form. `plain`: no point.
    """
    if dialect == "query":
        path = f"{path}?x={call.x}&y={call.y}"
    elif dialect == "prefix":
        photo = POINT.pack(call.x, call.y) + photo
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {len(photo)}\r\n\r\n"
    )
    return head.encode() + photo


def decode_point(body: bytes) -> tuple[bytes, int, int]:
    """Return the photo and the point of a body in the dialect `prefix`."""
    x, y = POINT.unpack_from(body)
    return body[POINT.size :], x, y


def encode_all(dialect: str, path: str, folder: Path, calls: Sequence[Call]) -> list[bytes]:
    """Return the requests for `calls`, whose photos lie in `folder`."""
    photos = {name: (folder / name).read_bytes() for name in {call.photo for call in calls}}
    return [encode(dialect, path, call, photos[call.photo]) for call in calls]


def right(answer: Mapping[str, Labels]) -> Right:
    """Return which labels may come first, and how likely, given the engine's own answer."""
    return {
        name: {
            str(entry["label"]): float(entry["probability"])
            for entry in labels
            if float(entry["probability"]) >= float(labels[0]["probability"]) - NEAR
        }
        for name, labels in answer.items()
    }


def is_right(body: bytes, wanted: Right) -> bool:
    """Return whether an answer's first label and its probability are right for all classifiers."""
    try:
        answer = json.loads(body)
        return all(
            abs(answer[name][0]["probability"] - labels[answer[name][0]["label"]]) <= NEAR
            for name, labels in wanted.items()
        )
    except (ValueError, KeyError, IndexError, TypeError):
        return False

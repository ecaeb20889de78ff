"""How many bytes of bodies a process holds, with streams that are read by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from flask import Flask, request

from shared.settings import MIB, Settings
from web import room as module
from web.bodies import MalformedBodyError, read_body
from web.room import Room
from web.tickets import NoRoomError

LONGEST = 16 * 1024


class Reader:
    """An application that reads a piece of a body whenever it is told to."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.then: Callable[[], object] = lambda: None  # what it does before it answers

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.bodies.append(environ["wsgi.input"])
        self.then()
        return [b""]


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def room(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> Room:
    """One with room for 20,000 bytes."""
    monkeypatch.setattr(module, "_MOST_BYTES", 20_000)
    return Room(reader, LONGEST)


def come(room: Room, sent: bytes, length: int | None = None) -> None:
    """Let a request come; without a length, its body is chunked."""
    told = {} if length is None else {"CONTENT_LENGTH": str(length)}
    room({"wsgi.input": io.BytesIO(sent), **told}, lambda *_: None)  # type: ignore[arg-type]


def test_there_is_room_for_256_mib_but_never_for_less_than_a_whole_body(reader: Reader) -> None:
    assert Room(reader, 16 * MIB).left == 256 * MIB
    assert Room(reader, 300 * MIB).left == 300 * MIB


def test_what_is_read_takes_room_until_its_request_ends(room: Room, reader: Reader) -> None:
    def read() -> None:
        assert reader.bodies[-1].read(4000) == bytes(4000)
        assert room.left == 16_000
        assert reader.bodies[-1].read(4000) == bytes(2000)
        assert room.left == 14_000

    reader.then = read
    for told in (6000, None):
        come(room, bytes(6000), told)
        assert room.left == 20_000


def test_who_has_no_room_is_refused_before_anything_is_read(room: Room, reader: Reader) -> None:
    def another() -> None:
        reader.bodies[0].read(12_000)
        stream = io.BytesIO(bytes(9000))
        reader.then = lambda: reader.bodies[-1].read(100)
        with pytest.raises(NoRoomError):
            room({"wsgi.input": stream, "CONTENT_LENGTH": "9000"}, lambda *_: None)  # type: ignore[arg-type]
        assert stream.tell() == 0
        come(room, bytes(8000), 8000)

    reader.then = another
    come(room, bytes(12_000), 12_000)
    assert room.left == 20_000


def test_what_is_only_announced_takes_no_room(room: Room, reader: Reader) -> None:
    def others() -> None:
        reader.bodies[-1].read(100)
        if len(reader.bodies) < 30:
            come(room, bytes(100), LONGEST)

    reader.then = others
    come(room, bytes(100), LONGEST)
    assert len(reader.bodies) == 30


def test_a_body_that_tells_no_length_has_no_more_room_than_others(
    room: Room, reader: Reader
) -> None:
    def read() -> None:
        for _ in range(4):
            reader.bodies[0].read(5000)
        reader.bodies[0].read(1)

    reader.then = read
    with pytest.raises(NoRoomError):
        come(room, bytes(30_000))
    assert room.left == 20_000


@pytest.mark.parametrize("sent", [9000, 16_000])
def test_a_body_read_by_a_door_gives_its_room_back(sent: int, room: Room) -> None:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LONGEST
    seen: list[int] = []

    @app.post("/")
    def door() -> str:
        try:
            return str(len(read_body(request, Settings())))
        except MalformedBodyError:
            return "broken"
        finally:
            seen.append(room.left)

    room._app = app.wsgi_app
    app.wsgi_app = room  # type: ignore[method-assign]
    client = app.test_client()
    assert client.post("/", data=bytes(sent)).text == str(sent)
    cut = {"CONTENT_LENGTH": str(sent + 1)}
    assert client.post("/", input_stream=io.BytesIO(bytes(sent)), environ_overrides=cut).text
    assert seen == [20_000 - sent] * 2
    assert room.left == 20_000

"""Clients that leave, by real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from shared.manifest import read_model
from tests.photo_kinds import cat, encode
from tests.service import ROOT
from web.catalog import Served
from web.clients import left
from web.decoding import Decoder
from web.gate import Gate
from web.prediction import Predictor, Query
from web.refused import Refused
from web.tickets import ClientLeftError

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our side of a connection, and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        own, _ = server.accept()
    with own, client:
        yield own, client


def test_who_closed_has_left_and_who_waits_has_not(pair: Pair) -> None:
    own, client = pair
    assert left([own.fileno(), -1]) == []
    client.sendall(b"the next request")
    assert left([own.fileno()]) == []
    client.close()
    assert left([own.fileno(), -1]) == [own.fileno()]


def test_the_photo_of_a_client_that_left_is_not_decoded(pair: Pair) -> None:
    own, client = pair
    model = read_model(Path(ROOT / "models" / "tags"))
    dispatcher: Any = Mock(refused=Refused())
    dispatcher.predict.side_effect = RuntimeError("decoded")
    served = Served(model, Mock(), dispatcher, Gate())
    predictor = Predictor(Decoder(1, 10**6))
    for error in (RuntimeError, ClientLeftError):
        query = Query([encode(cat(), "JPEG")], [[]], 5000, 5)
        with pytest.raises(error):
            predictor.predict(served, query, "0" * 32, own.fileno())
        client.close()

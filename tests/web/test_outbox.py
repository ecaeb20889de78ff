"""Which tickets are sent together, and who waits for company."""

from __future__ import annotations

import time

import gevent
import numpy as np
import pytest
from gevent.event import Event

from shared.manifest import read_model
from shared.messages import Request
from tests.service import ROOT
from web.decoding import Decoder
from web.outbox import Outbox
from web.tickets import ClientLeftError, Ticket


def ticket(items: int = 1, side: int = 2) -> Ticket:
    """Return a ticket for so many images of so many pixels a side."""
    tensor = np.zeros((items, side, side, 3), np.uint8)
    return Ticket(Request("a" * 32, [tensor], 5_000))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an outbox wait for so long that a busy machine changes nothing."""
    monkeypatch.setattr("web.outbox._COMPANY_S", 30.0)


class Hands:
    """What is in hand, as a test says."""

    full = True

    def __call__(self) -> bool:
        return self.full


@pytest.mark.usefixtures("patient")
def test_who_is_alone_is_not_held_back() -> None:
    outbox = Outbox()
    alone = ticket()
    outbox.put(alone)
    assert gevent.spawn(outbox.take).get(timeout=5) == [alone]


def test_all_that_wait_go_together() -> None:
    outbox = Outbox()
    tickets = [ticket() for _ in range(20)]
    for each in tickets:
        outbox.put(each)
    assert outbox.take() == tickets


@pytest.mark.usefixtures("patient")
def test_where_more_is_to_come_who_is_ready_waits_for_eight_items() -> None:
    outbox = Outbox(lambda: True)
    tickets = [ticket(), ticket(5), ticket(2)]
    taken = gevent.spawn(outbox.take)
    for each in tickets:
        gevent.sleep(0.01)
        assert not taken.ready()
        outbox.put(each)
    assert taken.get(timeout=5) == tickets


def test_it_waits_a_fiftieth_of_a_second_at_most() -> None:
    outbox = Outbox(lambda: True)
    alone = ticket()
    outbox.put(alone)
    began = time.monotonic()
    assert outbox.take() == [alone]
    assert time.monotonic() - began > 0.015


@pytest.mark.usefixtures("patient")
def test_once_no_more_is_to_come_it_waits_for_no_third() -> None:
    hands = Hands()
    outbox = Outbox(hands)
    tickets = [ticket(), ticket()]
    taken = gevent.spawn(outbox.take)
    outbox.put(tickets[0])
    gevent.sleep(0.01)
    assert not taken.ready()
    hands.full = False
    outbox.put(tickets[1])
    assert taken.get(timeout=5) == tickets


def test_what_is_large_goes_in_portions() -> None:
    outbox = Outbox()
    tickets = [ticket(16, 224) for _ in range(3)]  # 2.3 MiB each
    for each in tickets:
        outbox.put(each)
    assert [outbox.take(), outbox.take()] == [tickets[:2], tickets[2:]]


def test_it_can_be_woken() -> None:
    outbox = Outbox()
    gevent.spawn(outbox.wake)
    assert outbox.take() == []


def test_a_decoder_is_behind_while_photos_wait_for_a_thread() -> None:
    decoder, free = Decoder(1, 10**6), Event()

    def stop() -> None:
        free.wait()
        raise ClientLeftError

    model = read_model(ROOT / "models/tags")
    photos = [gevent.spawn(decoder.prepare, model, bytes(10_000), [], stop) for _ in range(2)]
    gevent.sleep(0)
    assert decoder.is_behind(model)
    free.set()
    gevent.joinall(photos)
    assert not decoder.is_behind(model)

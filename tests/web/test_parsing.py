"""How bodies are parsed: large ones apart from the event loop, garbage left for later."""

from __future__ import annotations

import gc
import threading
import time

import gevent
import pytest

from web.bodies import MalformedBodyError, apart, parse_json, parse_object, read_object

LARGE = 1 << 20  # bytes


def test_bodies_are_parsed_one_at_a_time_while_the_loop_goes_on() -> None:
    running, most, turns = 0, 0, 0

    def parse() -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.05)
        running -= 1
        return threading.get_ident()

    readers = [gevent.spawn(apart, LARGE, parse) for _ in range(4)]
    while not all(reader.ready() for reader in readers):
        turns += 1
        gevent.sleep(0.001)
    assert most == 1
    assert turns > 10
    assert threading.get_ident() not in {reader.get() for reader in readers}


def test_a_small_body_waits_for_no_large_one() -> None:
    done = threading.Event()
    large = gevent.spawn(apart, LARGE, done.wait)
    gevent.sleep(0.01)
    try:
        with gevent.Timeout(5):
            assert read_object(b'{"a": "' + b"a" * 20_000 + b'"}', ["a"])
        assert not large.ready()
    finally:
        done.set()
        large.join()


@pytest.mark.parametrize("text", ["[1]", "[1"])
def test_garbage_is_collected_again_whatever_another_thread_left(text: str) -> None:
    gc.disable()  # as another thread has, that parses at the same time
    try:
        if text == "[1]":
            assert parse_json(text) == [1]
        else:
            with pytest.raises(MalformedBodyError):
                parse_json(text)
        assert gc.isenabled()
    finally:
        gc.enable()


def test_what_is_no_object_is_refused() -> None:
    assert read_object(b'{"a": 1, "b": 2}', ["b", "c"]) == {"b": 2}
    assert parse_object(b'{"a": 1}') == {"a": 1}
    for body in (b"[]", b"7", b"null", b"{"):
        with pytest.raises(MalformedBodyError):
            read_object(body, ["a"])

"""The wire contract."""

from __future__ import annotations

import numpy as np
import pytest

from shared.messages import MessageError, Request, Result

REQUEST = Request(
    id="0123456789abcdef" * 2,
    tensors=[
        np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3),
        np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
    ],
    timeout_ms=1234,
    top_k=42,
    mailbox="f" * 32,
    context=b'{"a":1}',
)


def test_a_request_comes_back_as_it_was() -> None:
    back = Request.decode(REQUEST.encode())
    for field in ("id", "timeout_ms", "top_k", "mailbox", "context", "items"):
        assert getattr(back, field) == getattr(REQUEST, field)
    for tensor, original in zip(back.tensors, REQUEST.tensors, strict=True):
        assert tensor.dtype == original.dtype
        np.testing.assert_array_equal(tensor, original)


def test_a_request_says_which_classifiers_its_tensors_are_for() -> None:
    assert Request.decode(REQUEST.encode()).asked == REQUEST.asked == (0, 1)
    alone = Request(REQUEST.id, REQUEST.tensors[1:], 1, classifiers=(1,))
    assert Request.decode(alone.encode()).asked == (1,)


def test_the_scripts_find_the_header_where_they_look() -> None:
    payload = REQUEST.encode()
    assert payload[:4] == b"BPRQ"
    assert int.from_bytes(payload[6:8], "little") == 2
    assert int.from_bytes(payload[8:12], "little") == 1234
    assert payload[16:48].decode() == REQUEST.id
    assert payload[48:80].decode() == REQUEST.mailbox


def test_a_request_that_nobody_waits_for_has_no_mailbox() -> None:
    request = Request(REQUEST.id, REQUEST.tensors, 1)
    assert request.encode()[48:80] == bytes(32)
    assert Request.decode(request.encode()).mailbox == ""


def test_tensors_are_views_of_the_payload() -> None:
    payload = REQUEST.encode()
    (first, _) = Request.decode(payload).tensors
    assert not first.flags.owndata
    assert not first.flags.writeable


def test_a_tensor_that_is_not_contiguous_travels_as_its_values() -> None:
    turned = np.arange(24, dtype=np.uint8).reshape(2, 3, 4).transpose(0, 2, 1)
    back = Request.decode(Request(REQUEST.id, [turned], 1).encode())
    np.testing.assert_array_equal(back.tensors[0], turned)


@pytest.mark.parametrize("length", [0, 3, 79, 81, 100, -1])
def test_a_cut_request_is_refused(length: int) -> None:
    with pytest.raises(MessageError):
        Request.decode(REQUEST.encode()[:length])


def test_a_request_with_more_bytes_than_it_says_is_refused() -> None:
    with pytest.raises(MessageError):
        Request.decode(REQUEST.encode() + b"x")


def test_another_version_is_refused() -> None:
    payload = bytearray(REQUEST.encode())
    payload[4] = 3
    with pytest.raises(MessageError, match="version 3"):
        Request.decode(bytes(payload))


def test_a_result_comes_back_as_it_was() -> None:
    result = Result(REQUEST.id, items=[{"themes": [{"label": "Cats", "probability": 0.5}]}])
    assert Result.decode(result.encode()) == result


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"id":"1","more":2}', b"\xff"])
def test_what_is_no_result_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        Result.decode(payload)

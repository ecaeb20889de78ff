"""The client: connections that are kept, one time limit for all tries, safe retries."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

import urllib3

from client.answers import Answer, read_answer
from client.connections import Connections
from client.errors import RefusedError, ServiceError, UnavailableError

Photo = bytes | str | os.PathLike[str]  # the encoded image itself, or where it lies
Point = tuple[float, float]
Default = TypeVar("Default")

_AGAIN = {408, 429, 502, 503, 504}
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_LONGEST_DEADLINE_MS = 30_000  # that the service takes
# The service's own answer, that the deadline is over, has this part of the time to come back.
_WAY_BACK, _LONGEST_WAY_BACK_S = 0.1, 0.5


class _Raise:
    """Stands for no default."""


_RAISE: Final = _Raise()


class Client:
    """A client that several threads may share.

    A call ends within `timeout_s`, whatever becomes of the service; but of a host with several
    addresses each is tried for what is left, and the system looks up its name for as long as it
    likes. A try that failed in a way that may pass is repeated within that, when the service says
    so (`Retry-After`) or after a pause, as the same request (`Idempotency-Key`): however often it
    is sent, it runs once.
    """

    def __init__(
        self, url: str, key: str = "", timeout_s: float = 10.0, tries: int = 5, connections: int = 8
    ) -> None:
        """`key` is an API key, where the service asks for one; `connections` are kept open."""
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._tries = tries
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._pool = Connections(connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    @overload
    def predict(
        self,
        photo: Photo,
        point: Point | None = None,
        *,
        points: Sequence[Point] = (),
        model: str = "",
        top_k: int = 5,
        timeout_s: float | None = None,
    ) -> Answer: ...

    @overload
    def predict(
        self,
        photo: Photo,
        point: Point | None = None,
        *,
        points: Sequence[Point] = (),
        model: str = "",
        top_k: int = 5,
        timeout_s: float | None = None,
        default: Default,
    ) -> Answer | Default: ...

    def predict(
        self,
        photo: Photo,
        point: Point | None = None,
        *,
        points: Sequence[Point] = (),
        model: str = "",
        top_k: int = 5,
        timeout_s: float | None = None,
        default: Any = _RAISE,
    ) -> Any:
        """Ask about a point of a photo, about several `points`, or about its centre.

        Raises `RefusedError` where the photo or a parameter is wrong, and `UnavailableError` where
        the service fails; then `default` is returned instead, if it is given.
        """
        fields: dict[str, Any] = {"top_k": str(top_k)}
        if point is not None:
            fields |= {"x": repr(point[0]), "y": repr(point[1])}
        if points:
            fields["points"] = json.dumps(points)
        data = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
        fields["image"] = ("photo", data)
        body, content_type = urllib3.encode_multipart_formdata(fields)
        headers = {"Content-Type": content_type, "Idempotency-Key": uuid.uuid4().hex}
        path = f"/predict/{model}" if model else "/predict"
        try:
            content = self._post(path, body, headers, timeout_s)
            try:
                return read_answer(content)
            except (KeyError, TypeError) as error:
                raise UnavailableError("the answer is not one of this service") from error
        except UnavailableError:
            if default is _RAISE:
                raise
            return default

    def choose(self, answer: Answer, chosen: Mapping[str, str | None], place: int = 0) -> None:
        """Tell what was chosen after an answer, for its point number `place`.

        Per classifier that is a label, or None: none fits. Raises as `predict`, and `RefusedError`
        where the service keeps no feedback.
        """
        content = {"request_id": answer.request_id, "place": place, "chosen": dict(chosen)}
        self._post(
            "/feedback", json.dumps(content).encode(), {"Content-Type": "application/json"}, None
        )

    def _post(
        self, path: str, body: bytes, headers: dict[str, str], timeout_s: float | None
    ) -> dict[str, Any]:
        """Return the JSON that comes back, after as many tries as it takes and time allows."""
        until = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        failure: ServiceError = UnavailableError("there was no time to ask")
        for tried in range(self._tries):
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            pause_s = min(_FIRST_PAUSE_S * 2**tried, _LONGEST_PAUSE_S) * random.uniform(0.5, 1)
            try:
                response = self._send(path, body, headers, left_s)
            except urllib3.exceptions.HTTPError as error:
                failure = UnavailableError(f"{self._url} cannot be reached: {error}")
            else:
                if response.status == 200:
                    return _read(response)
                failure = _to_error(response)
                if response.status not in _AGAIN:
                    raise failure
                pause_s = max(pause_s, _retry_after_s(response))
            if pause_s >= until - time.monotonic():
                break
            time.sleep(pause_s)
        raise failure

    def _send(
        self, path: str, body: bytes, headers: dict[str, str], left_s: float
    ) -> urllib3.BaseHTTPResponse:
        """Send once; the service's deadline is a little before the end of what is left."""
        deadline_s = left_s - min(left_s * _WAY_BACK, _LONGEST_WAY_BACK_S)
        deadline_ms = max(1, min(int(deadline_s * 1000), _LONGEST_DEADLINE_MS))
        return self._pool.request(
            "POST",
            self._url + path,
            body=body,
            headers={**self._headers, **headers, "X-Request-Timeout-Ms": str(deadline_ms)},
            timeout=urllib3.Timeout(total=left_s),
        )


def _read(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError as error:
        raise UnavailableError("the answer is no JSON", response.status) from error
    if not isinstance(content, dict):
        raise UnavailableError("the answer is no object", response.status)
    return content


def _to_error(response: urllib3.BaseHTTPResponse) -> ServiceError:
    """Return what stands for an answer that is none: problem+json, or whatever a proxy says."""
    try:
        problem = response.json()
        message, request_id = f"{problem['title']}: {problem['detail']}", problem["request_id"]
    except (ValueError, KeyError, TypeError):
        message, request_id = response.reason or "no reason given", ""
    fails = response.status >= 500 or response.status in _AGAIN
    kind = UnavailableError if fails and response.status != 501 else RefusedError
    return kind(message, response.status, request_id)


def _retry_after_s(response: urllib3.BaseHTTPResponse) -> float:
    """Return how long to wait: what the service says in seconds, or a proxy as a date."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0

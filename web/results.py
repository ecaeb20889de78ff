"""What became of a request: its result, or the error that it ended with."""

from __future__ import annotations

from redis.exceptions import RedisError

from shared.messages import Result
from shared.queue import Queue
from web.tickets import DeadlineError, InferenceError, StoreAwayError

_ENDINGS = {
    "failed": "the engine could not run this image",
    "lost": "the workers that ran this request ended before they could answer",
}


def checked(result: Result) -> Result:
    """Return the result of a request that ran. Raises `DeadlineError` or `InferenceError`."""
    if result.error == "expired":
        raise DeadlineError(result.id)
    if result.error:
        raise InferenceError(_ENDINGS[result.error])
    return result


def kept_result(queue: Queue, request_id: str) -> Result | None:
    """Return a result that is kept, or None while the request is pending.

    Raises `KeyError` where neither is known, `StoreAwayError`, `DeadlineError` where it
    expired before it ran, or `InferenceError`.
    """
    try:
        (fate,) = queue.fates([request_id])
    except RedisError as error:
        raise StoreAwayError from error
    if fate.result is not None:
        return checked(Result.decode(fate.result))
    if not fate.pending:
        raise KeyError(request_id)
    return None

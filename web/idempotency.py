"""`Idempotency-Key`: a retry is the same request as the one before it.

The id of a request that comes with a key is made from the key and from all that is asked, so that
the queue knows a retry for what it is: the request runs once, and while its result is kept, that
answers every retry. The key itself is claimed in the queue: no other request gets through under it.

Such a request goes on when its client leaves: who sends a key means to come back for the answer.
Under overload a retry is refused like any other request, and may come again.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields

from web.prediction import Query
from web.uploads import ParameterError

_KEY = re.compile(r"[ -~]{1,255}")


@dataclass(frozen=True)
class Identity:
    """What makes a request the same as another."""

    request_id: str  # 32 hexadecimal digits
    claim: str  # likewise: what no request with another id may have


def identify(key: str, client: str, queue: str, query: Query) -> Identity:
    """Return the identity of a query, which `client` sent to `queue` under `key`.

    Its deadline is no part of that. Raises `ParameterError` where the key is not 1 to 255 printable
    characters of ASCII.
    """
    if not _KEY.fullmatch(key):
        raise ParameterError("Idempotency-Key is not 1 to 255 printable characters of ASCII")
    asked = {field.name: getattr(query, field.name) for field in fields(query)}
    del asked["timeout_ms"]
    asked["images"] = [hashlib.sha256(image).hexdigest() for image in query.images]
    asked["tensors"] = [
        [tensor.shape, hashlib.sha256(tensor.tobytes()).hexdigest()] for tensor in query.tensors
    ]
    asked["classifiers"] = query.classifiers and sorted(query.classifiers)
    return Identity(_digest([queue, client, key, asked]), _digest([client, key]))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

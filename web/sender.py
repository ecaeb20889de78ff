"""Who asks: what the way of a prediction needs to know of the HTTP request, besides its query."""

from __future__ import annotations

from flask import g, request

from web.catalog import Served
from web.clients import socket_of
from web.idempotency import identify
from web.prediction import Query, admit
from web.room import Held


def sender(served: Served, query: Query) -> tuple[str, int, str, Held]:
    """Return what `Predictor.predict` wants of the HTTP request: id, socket, claim, and its room.

    Its sender is charged for all that it asks, unless that is refused. Raises `ParameterError`,
    what `Served.refusal` says, and `shared.rates.OverRateError`.
    """
    admit(served, query)
    charge = request.environ.get("batchpoint.charge")
    if charge:
        charge(query.items)
    held = request.environ["batchpoint.held"]
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return g.request_id, socket_of(request.environ), "", held
    client = request.environ.get("batchpoint.client", "")
    identity = identify(key, client, served.model.queue, query)
    g.request_id = identity.request_id
    return identity.request_id, -1, identity.claim, held

"""Access: whose request it is, whether its key is for this, and whether it came within its rate.

A WSGI layer, so that who may not come in is told so before the body is read.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from wsgiref.types import WSGIApplication

from shared.logs import fields
from shared.rates import OverRateError, Rate, Rates, Verdict
from shared.settings import Settings
from web import metrics
from web.api_keys import ApiKey, ApiKeys, ScopeError, UnknownKeyError
from web.errors import problem

_log = logging.getLogger(__name__)

Headers = dict[str, str]

# Everything that is not named here is for the scope `predict`, so that a new door is never open.
_OPEN = {"/", "/livez", "/readyz", "/openapi.json", "/v2/health/live", "/v2/health/ready"}
_SCOPES = {"metrics": "admin", "feedback": "feedback"}


class Access:
    """A WSGI application in front of another.

    To that, `batchpoint.client` in the environ is the name of the request's key, empty where keys
    are not asked for, and `batchpoint.charge`, where there is a rate, counts the request's items
    once they are known: see `Charge`.
    """

    def __init__(
        self, app: WSGIApplication, settings: Settings, keys: ApiKeys | None, rates: Rates | None
    ) -> None:
        """Take `keys`, None where none are asked for, and `rates`, None where none are kept."""
        self._app = app
        self._settings = settings
        self._keys = keys
        self._rates = rates

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Pass the request on, or refuse it."""
        scope = scope_of(environ["PATH_INFO"])
        if not scope:
            return self._app(environ, start_response)
        key = self._keys.find(_secret(environ)) if self._keys else None
        # Who has a key has it wherever it is; all others at an address share its rate, and so do
        # those who try keys.
        address = client_address(environ, self._settings.trusted_proxies)
        who = f"key:{key.name}" if key else f"address:{address}"
        rate, verdict, headers = self._rate(key), None, Headers()
        if rate and self._rates:
            verdict = self._rates.take(who, rate)
            headers = _rate_headers(who, rate, verdict)
        error: Exception
        if verdict and not verdict.allowed:
            error = OverRateError(verdict)
        elif self._keys and not key:
            error = UnknownKeyError()
            headers["WWW-Authenticate"] = 'Bearer realm="batchpoint"'
        elif key and scope not in key.scopes:
            error = ScopeError(scope)
            headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{scope}"'
        else:
            environ["batchpoint.client"] = key.name if key else ""
            if rate and self._rates:
                environ["batchpoint.charge"] = Charge(self._rates, who, rate, headers)
            return self._app(environ, _adding(headers, start_response))
        client = {"key": key.name} if key else {"address": address}
        return _refuse(error, headers, environ["PATH_INFO"], client, start_response)

    def _rate(self, key: ApiKey | None) -> Rate | None:
        per_s, burst = float(self._settings.rate_per_s), self._settings.rate_burst
        if key:
            per_s, burst = key.rate_per_s or per_s, key.rate_burst or burst
        most = max(self._settings.max_items, self._settings.max_points)
        return Rate(per_s, burst, most) if per_s else None


class Charge:
    """Counts the items of a request that was let in as one."""

    def __init__(self, rates: Rates, who: str, rate: Rate, headers: Headers) -> None:
        """`headers` are those of the answer, which tell of the rate."""
        self._rates = rates
        self._of = who, rate
        self._headers = headers

    def __call__(self, items: int) -> None:
        """Count all but the first. Raises `OverRateError` where the client is in debt."""
        if items > 1:
            verdict = self._rates.take(*self._of, items - 1)
            self._headers.update(_rate_headers(*self._of, verdict))
            if not verdict.allowed:
                raise OverRateError(verdict)


def scope_of(path: str) -> str:
    """Return the scope that a request for `path` needs, empty where it needs none."""
    if path in _OPEN or path.startswith("/static/"):
        return ""
    return _SCOPES.get(path.removeprefix("/").split("/")[0], "predict")


def client_address(environ: Mapping[str, Any], proxies: int) -> str:
    """Return the address that the request is from, of IPv6 the network of 64 bits.

    Each of the `proxies` trusted ones in front has appended to `X-Forwarded-For` whom it had the
    request from; what stands before that, the client itself may have written.
    """
    address = str(environ.get("REMOTE_ADDR", ""))
    if proxies:
        named = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(named) >= proxies:
            address = named[-proxies].strip()
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return str(environ.get("REMOTE_ADDR", ""))
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


def _secret(environ: Mapping[str, Any]) -> str:
    """Return the key that the request brings, empty where it brings none."""
    kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() == "bearer":
        return str(token.strip())
    return str(environ.get("HTTP_X_API_KEY", ""))


def _rate_headers(who: str, rate: Rate, verdict: Verdict) -> Headers:
    """Return the fields of draft-ietf-httpapi-ratelimit-headers-10, and of a refusal its end."""
    of = who.partition(":")[0]
    window_s, full_s = math.ceil(rate.burst / rate.per_s), math.ceil(verdict.full_s)
    headers = {
        "RateLimit-Policy": f'"{of}";q={rate.burst};w={window_s}',
        "RateLimit": f'"{of}";r={verdict.left};t={full_s}',
    }
    if not verdict.allowed:
        headers["Retry-After"] = str(math.ceil(verdict.next_s))
    return headers


def _adding(headers: Headers, start_response: Callable[..., Any]) -> Callable[..., Any]:
    if not headers:
        return start_response

    def start(status: str, given: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [*given, *headers.items()], *rest)

    return start


def _refuse(
    error: Exception,
    headers: Headers,
    path: str,
    client: dict[str, str],
    start_response: Callable[..., Any],
) -> list[bytes]:
    request_id = uuid.uuid4().hex
    status, described, body = problem(error, request_id, path)
    metrics.KEPT_OUT.labels(str(status)).inc()
    _log.info("kept out", extra=fields(request_id=request_id, status=status, path=path, **client))
    headers = described | headers
    headers |= {"X-Request-Id": request_id, "Content-Length": str(len(body))}
    start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
    return [body]

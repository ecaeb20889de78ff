"""A Redis that asks for a password, and one behind TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
import requests

from deploy import redis_server
from shared.processes import stop_all
from shared.queue import Queue
from shared.settings import Settings
from shared.store import connect
from tests.service import ROOT, Service
from tests.tls_proxy import TlsProxy

PASSWORD = "s3cret-p4ss"  # of a Redis that lives as long as this module's tests


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProxy]:
    """TLS in front of a real Redis with a password."""
    folder = tmp_path_factory.mktemp("redis")
    process, url = redis_server.start(folder)
    with redis.Redis.from_url(url) as client:
        client.config_set("requirepass", PASSWORD)
    proxy = TlsProxy(folder, url.removeprefix("unix://"))
    with proxy.running():
        yield proxy
    stop_all([process], patience_s=5)


def address(proxy: TlsProxy, password: str = PASSWORD, authority: str | None = None) -> str:
    trusted = proxy.authority if authority is None else authority
    return f"rediss://:{password}@localhost:{proxy.port}/0?ssl_ca_certs={trusted}"


def test_a_queue_works_with_a_password_over_tls(guarded: TlsProxy) -> None:
    with connect(address(guarded)) as client:
        queue = Queue(client, "letters:1", Settings())  # which no service here takes for its own
        queue.beat("w", {"host": "here"})
        assert queue.census().workers == [{"host": "here"}]
    assert guarded.connections


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_the_password_nothing_is_answered(password: str, guarded: TlsProxy) -> None:
    with connect(address(guarded, password)) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_server_that_nobody_vouches_for_gets_no_password(guarded: TlsProxy) -> None:
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        connect(f"rediss://:{PASSWORD}@localhost:{guarded.port}/0").ping()


def test_a_server_of_another_name_gets_no_password(guarded: TlsProxy) -> None:
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        connect(address(guarded).replace("localhost", "127.0.0.1")).ping()


@pytest.mark.service
def test_the_whole_service_works_so_and_never_shows_the_password(guarded: TlsProxy) -> None:
    photo = (ROOT / "examples" / "photos" / "cat.jpg").read_bytes()
    settings = {"WORKERS": "1", "WEB_PROCESSES": "1", "LOG_LEVEL": "debug"}
    with Service(**settings, REDIS_URL=address(guarded)) as service:
        url = f"{service.url}/predict"
        # An answer that is kept keeps its connection, and the service's end waits for that.
        assert requests.post(url, data=photo, timeout=30).status_code == 200
        assert PASSWORD not in requests.get(f"{service.url}/models", timeout=10).text
        assert service.client.keys() == [], "the other Redis is not used"
        log = service.log.read_text()
        assert PASSWORD not in log
        assert '"level": "debug"' in log, "all that can be said is said"

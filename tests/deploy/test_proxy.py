"""The proxy of the compose profile: a real nginx with its configuration, before a real service."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import requests

from shared.processes import stop_all
from shared.settings import Settings
from tests.deploy.proxy import CONFIGURATION, NGINX, Proxy
from tests.programs import need
from tests.service import ROOT, Service

PHOTO = (ROOT / "examples" / "photos" / "cat.jpg").read_bytes()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy in front of a service that lets an address send ten requests, and one in 100 s."""
    need(NGINX)
    service = Service(
        WORKERS="1",
        WEB_PROCESSES="1",
        TRUSTED_PROXIES="1",
        RATE_PER_S="1",
        RATE_BURST="10",
    )
    with service:
        proxy = Proxy(tmp_path_factory.mktemp("proxy"), service.port)
        process = proxy.start()
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", proxy.https)) == 0:
                        break
                time.sleep(0.05)
            yield proxy
        finally:
            stop_all([process], patience_s=10)


def setting(name: str) -> str:
    (value,) = re.findall(rf"^ *{name} (.*?);", CONFIGURATION.read_text(), re.MULTILINE)
    return str(value)


def test_its_limits_are_those_of_the_service() -> None:
    settings = Settings()
    assert setting("client_max_body_size") == f"{settings.max_body_bytes // 2**20}m"
    read_s = int(setting("proxy_read_timeout").rstrip("s"))
    assert read_s * 1000 > settings.max_deadline_ms
    assert int(setting("client_header_timeout").rstrip("s")) <= settings.header_timeout_s


def test_nginx_takes_the_configuration_without_a_warning(tmp_path: Path) -> None:
    need(NGINX)
    assert Proxy(tmp_path, 1).complaint() == ""


def test_nginx_refuses_a_mistake_in_it(tmp_path: Path) -> None:
    need(NGINX)
    proxy = Proxy(tmp_path, 1)
    path = tmp_path / "nginx.conf"
    path.write_text(path.read_text().replace("limit_conn ", "limit_con "))
    assert "limit_con" in proxy.complaint()


@pytest.mark.service
def test_a_photo_is_answered_over_tls_and_only_over_tls(proxy: Proxy) -> None:
    answer = requests.post(f"{proxy.url}/predict", data=PHOTO, verify=proxy.authority, timeout=30)
    assert answer.json()["success"] is True
    assert answer.headers["Strict-Transport-Security"]
    plain = requests.get(
        f"http://127.0.0.1:{proxy.http}/models?a=1", allow_redirects=False, timeout=10
    )
    assert plain.status_code == 308
    assert plain.headers["Location"] == "https://127.0.0.1/models?a=1"


@pytest.mark.service
def test_what_it_refuses_itself_is_a_problem_too(proxy: Proxy) -> None:
    large = bytes(17 * 1024 * 1024)
    for path, body, status in (("/predict", large, 413), ("/metrics", b"", 404)):
        answer = requests.post(proxy.url + path, data=body, verify=proxy.authority, timeout=30)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(answer.content)["status"] == status


@pytest.mark.service
@pytest.mark.parametrize("path", ["//metrics", "/%6detrics", "/x/../metrics", "/metrics?a=1"])
def test_the_metrics_are_not_found_by_another_spelling(path: str, proxy: Proxy) -> None:
    context = ssl.create_default_context(cafile=proxy.authority)
    connection = HTTPSConnection("localhost", proxy.https, timeout=10, context=context)
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.service
def test_who_holds_many_connections_gets_no_more(proxy: Proxy) -> None:
    context = ssl.create_default_context(cafile=proxy.authority)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\nsome"
    most = int(setting("limit_conn").split()[1])
    held = []
    for _ in range(most):
        plain = socket.create_connection(("127.0.0.1", proxy.https), timeout=10)
        held.append(context.wrap_socket(plain, server_hostname="localhost"))
        held[-1].sendall(head)
    time.sleep(0.5)
    url = f"{proxy.url}/livez"
    assert requests.get(url, verify=proxy.authority, timeout=10).status_code == 429
    for connection in held:
        connection.close()
    time.sleep(0.5)
    assert requests.get(url, verify=proxy.authority, timeout=10).status_code == 200


@pytest.mark.service
def test_a_client_cannot_make_its_address_up(proxy: Proxy) -> None:
    statuses = []
    for number in range(14):
        answer = requests.get(
            f"{proxy.url}/models",
            headers={"X-Forwarded-For": f"203.0.113.{number}"},
            verify=proxy.authority,
            timeout=10,
        )
        statuses.append(answer.status_code)
    assert 429 in statuses
    assert "RateLimit" in answer.headers, "the service refused it, not the proxy"

"""A proxy in front of the service, that cuts answers off as often as it is told."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import requests


class CuttingProxy(ThreadingHTTPServer):
    """`with CuttingProxy(url) as proxy:` forwards what is posted to `proxy.url`."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.cuts = 0  # answers that are still to be cut off, in their middle
        self.keys: list[str] = []  # the Idempotency-Key of each request
        self.answers: list[Any] = []  # of the service, whole

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CuttingProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])
        answer = requests.post(
            self.server.target + self.path, data=body, headers=dict(self.headers), timeout=30
        )
        self.server.answers.append(answer.json())
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            self.close_connection = True
            self.wfile.write(answer.content[: len(answer.content) // 2])
        else:
            self.wfile.write(answer.content)

    def log_message(self, format: str, *args: Any) -> None:
        pass

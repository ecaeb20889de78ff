"""Logging: one JSON object per line on standard output."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

_encode = json.JSONEncoder(default=str).encode


class _JsonLines(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "pid": record.process,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _encode(line)


def start_logging(role: str, level: str) -> None:
    """Send what this process logs to standard output as JSON lines; `role` is in each."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines(role))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class Seldom:
    """Logs warnings, one in `every_s` at the most: what fails over and over is said once."""

    def __init__(self, log: logging.Logger, every_s: float = 5.0) -> None:
        self._log = log
        self._every_s = every_s
        self._last = float("-inf")

    def warning(self, message: str, **values: Any) -> None:
        """Log `message` with `values` as fields, unless one was logged just now."""
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            self._log.warning(message, extra=fields(**values))


def fields(**values: Any) -> dict[str, Any]:
    """Return the `extra` that puts `values` into a log line as fields of their own."""
    return {"fields": values}

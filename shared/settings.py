"""Every setting, documented where it is declared; the only reader of the environment.

A setting's name in the environment is its name here in capitals: `PORT=9000 make run`.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

MIB = 1024 * 1024


class SettingError(ValueError):
    """A setting that cannot be used; the message names it."""


_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?")
_LOG_LEVELS = ("debug", "info", "warning", "error")
_ENGINES = ("session", "litert", "auto")


def _setting(default: Any, about: str, low: int = 1, high: int = sys.maxsize) -> Any:
    """Declare a setting: its default, what it is, and the range of a number."""
    return field(default=default, metadata={"about": about, "low": low, "high": high})


@dataclass(frozen=True)
class Settings:
    """The settings of one process. Durations, sizes and counts carry their unit in the name."""

    redis_url: str = _setting(
        "redis://127.0.0.1:6379/0", "The Redis to use; where it is not set, `make run` starts one"
    )
    host: str = _setting("127.0.0.1", "Address that the web tier listens on")
    port: int = _setting(8000, "Port that the web tier listens on", high=65_535)
    api_keys_file: str = _setting("", "File of the API keys; empty: nobody is asked for one")
    rate_per_s: int = _setting(0, "Items a second from one address or key; 0: any number", 0)
    rate_burst: int = _setting(20, "Items that it may send at once, where there is a rate")
    trusted_proxies: int = _setting(
        0, "Proxies in front, whose `X-Forwarded-For` is believed; 0: nobody's", 0
    )
    cors_origins: str = _setting(
        "", "Origins, comma-separated, whose pages may ask from a browser; empty: none"
    )
    web_processes: int = _setting(0, "Web processes; 0: one per two cores, at least one", 0)
    workers: int = _setting(
        0, "Worker processes that `make run` starts; 0: one per GPU named, else one per core", 0
    )
    cuda_visible_devices: str = _setting("", "GPUs, comma-separated: a worker is pinned to each")
    worker_threads: int = _setting(1, "Threads of a worker's engine; one per core is fastest")
    models_folder: Path = _setting(Path("models"), "Folder that holds a folder per model")
    models_url: str = _setting(
        "", "Where `MODELS_FOLDER` is kept a copy of, `s3://bucket/models`; empty: of nothing"
    )
    model: str = _setting("tags", "The model that `/predict` serves and that a worker loads")
    models: str = _setting(
        "*", "Models that `make run` serves beside it: `digits,characters=2`; `*`: all there are"
    )
    engine: str = _setting(
        "auto", "What a worker runs the model with: session, litert, or auto, by trial"
    )
    media_folder: str = _setting("", "Folder that `image_path` may name files in; empty: off")
    feedback_folder: str = _setting(
        "", "Folder to keep photos, answers and what users chose in; empty: nothing is kept"
    )
    feedback_max_mib: int = _setting(1_024, "How much is kept there, in MiB")
    feedback_days: int = _setting(90, "How long it is kept")
    deadline_ms: int = _setting(5_000, "Deadline of a request that names none")
    max_deadline_ms: int = _setting(30_000, "Longest deadline that a client may ask for")
    lease_ms: int = _setting(3_000, "How long a worker holds a request without renewing")
    heartbeat_ms: int = _setting(2_000, "How long a worker counts as alive after its last sign")
    result_ttl_ms: int = _setting(60_000, "How long a result can be fetched")
    max_attempts: int = _setting(3, "Workers that a request may take down before it gets a 500")
    queue_max_items: int = _setting(1_024, "Items waiting in a model's queue before it is full")
    queue_max_bytes: int = _setting(256 * MIB, "Bytes waiting in a model's queue before it is full")
    max_batch: int = _setting(32, "Largest batch, in items, that a worker measures and runs")
    max_body_bytes: int = _setting(16 * MIB, "Largest body of an HTTP request")
    max_pixels: int = _setting(50_000_000, "Largest image, in pixels")
    max_points: int = _setting(16, "Most points of one photo in one request", high=1_000)
    max_items: int = _setting(256, "Most images or tensors in one request", high=65_535)
    body_timeout_s: int = _setting(20, "How long a client may take to send a body")
    header_timeout_s: int = _setting(10, "How long a client may take to send the header")
    decode_threads: int = _setting(2, "Photos that one web process decodes at the same time")
    log_level: str = _setting("info", "Least level that is logged: debug, info, warning, error")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from `environ` (default: the process's). Raises `SettingError`."""
        given = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for setting in fields(cls):
            text = given.get(setting.name.upper(), "").strip()
            if text:
                values[setting.name] = _parse(setting.name, text, setting.default, setting.metadata)
        settings = cls(**values)
        if settings.log_level not in _LOG_LEVELS:
            raise SettingError(
                f"LOG_LEVEL={settings.log_level} is none of {', '.join(_LOG_LEVELS)}"
            )
        if settings.engine not in _ENGINES:
            raise SettingError(f"ENGINE={settings.engine} is none of {', '.join(_ENGINES)}")
        if not settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise SettingError("REDIS_URL begins with redis://, rediss:// or unix://")
        if settings.deadline_ms > settings.max_deadline_ms:
            raise SettingError("DEADLINE_MS is over MAX_DEADLINE_MS")
        if settings.models_url and settings.models_folder == cls.models_folder:
            raise SettingError("MODELS_URL needs MODELS_FOLDER, a folder of its own for the copy")
        for origin in settings.origins():
            if not _ORIGIN.fullmatch(origin):
                raise SettingError(f"CORS_ORIGINS: {origin!r} is not like https://example.org")
        return settings

    def process_counts(self) -> tuple[int, int]:
        """Return how many web processes and workers to start on this machine."""
        cores = len(os.sched_getaffinity(0))
        return self.web_processes or max(1, cores // 2), self.workers or len(self.gpus()) or cores

    def origins(self) -> list[str]:
        """Return the origins of `cors_origins`."""
        return [name.strip() for name in self.cors_origins.split(",") if name.strip()]

    def is_open_to_all(self) -> bool:
        """Return whether other machines may reach the web tier and nobody is asked for a key."""
        if self.api_keys_file or self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True  # a host name, or the empty one that stands for every address

    def gpus(self) -> list[str]:
        """Return the names by which CUDA knows the GPUs to use; -1 is CUDA's name for none."""
        return [name for name in self.cuda_visible_devices.split(",") if name not in ("", "-1")]


def set_environment_defaults(**values: str) -> None:
    """Set variables that a library reads for itself, where the environment leaves them open."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def _parse(name: str, text: str, default: Any, metadata: Mapping[str, Any]) -> Any:
    if not isinstance(default, int):
        return type(default)(text)
    try:
        number = int(text)
    except ValueError:
        raise SettingError(f"{name.upper()}={text!r} is not a whole number") from None
    if number < metadata["low"]:
        raise SettingError(f"{name.upper()}={number} is under {metadata['low']}")
    if number > metadata["high"]:
        raise SettingError(f"{name.upper()}={number} is over {metadata['high']}")
    return number

"""The servers that are compared, and how each is started."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.redis_server import find_server

CORES = len(os.sched_getaffinity(0))  # as many one-thread workers as these

_REDIS = ("--port", "0", "--unixsocket", "{folder}/redis.sock", "--save", "", "--appendonly", "no")
_OWN_KINDS = (
    ("redis-server", "redis"),
    ("run_web.py", "web"),
    ("run_worker.py", "worker"),
    ("bench.compare.fixed_window", "worker"),
    ("bench.compare.peers.tutorial_model", "worker"),
    ("bench.compare.peers.tutorial_web", "web"),
    ("deploy.local", "launcher"),
)


@dataclass(frozen=True)
class Candidate:
    """A server of model `tags`, or of the overhead-only job.

    `commands` are started in order; each begins with a program of its environment. In them and
    in `environment` these are filled in: {port}, {folder}, {batch}, {cores}, {timeout_ms} and
    {timeout_s}.
    """

    name: str
    engine: str  # session, litert, or auto where the server chooses
    decode: str  # own, or usual: open → convert → crop → resize
    commands: tuple[tuple[str, ...], ...]
    dialect: str = "query"
    path: str = "/predict"
    environment: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""  # the name of its environment; empty: ours
    packages: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it is this service, with all its own parts."""
        return not self.peer


def ours(engine: str, **environment: str) -> Candidate:
    """This service as `make run` starts it."""
    return Candidate(
        f"Batchpoint, {engine}",
        engine,
        "own",
        (("python", "-m", "deploy.local"),),
        environment={
            "ENGINE": engine,
            "PORT": "{port}",
            "DEADLINE_MS": "{timeout_ms}",
            "WORKERS": "{cores}",
            "MODELS": "tags",  # no other model's workers beside the measured ones
            **environment,
        },
        kinds=_OWN_KINDS,
    )


def fixed_window(engine: str, size: str) -> Candidate:
    """This service with its batcher replaced by a fixed size and a fixed window."""
    return Candidate(
        f"Batchpoint, {engine}, fixed {size} in 10 ms".replace("{batch}", "best"),
        engine,
        "own",
        (
            (find_server(), *_REDIS),
            ("python", "run_web.py"),
            *(("python", "-m", "bench.compare.fixed_window", size),) * CORES,
        ),
        environment={
            "ENGINE": engine,
            "PORT": "{port}",
            "DEADLINE_MS": "{timeout_ms}",
            "REDIS_URL": "unix://{folder}/redis.sock",
        },
        kinds=_OWN_KINDS,
    )


def _peer(
    name: str, engine: str, decode: str, module: str, *arguments: str, **environment: str
) -> Candidate:
    peer = module.partition("_")[0]
    return Candidate(
        f"{name}, {engine}, {decode} decode",
        engine,
        decode,
        (("python", "-m", f"bench.compare.peers.{module}", *arguments),),
        dialect=_DIALECTS[peer][0],
        path=_DIALECTS[peer][1],
        environment={**_told(engine, decode), **environment},
        peer=peer,
        packages=_PACKAGES[peer],
    )


def _told(engine: str, decode: str) -> dict[str, str]:
    """What `peers/setting.py` reads."""
    return {
        "BENCH_ENGINE": engine,
        "BENCH_DECODE": decode,
        "BENCH_BATCH": "{batch}",
        "BENCH_PORT": "{port}",
        "BENCH_WORKERS": "{cores}",
        "BENCH_TIMEOUT_S": "{timeout_s}",
    }


_PACKAGES = {
    "mosec": ("mosec==0.9.8",),
    "litserve": ("litserve==0.2.19",),
    "ray": ("ray[serve]==2.60.0",),
    "tutorial": ("flask==3.1.3", "gunicorn==27.0.1", "redis==8.1.0"),
}
_DIALECTS = {
    "mosec": ("prefix", "/inference"),
    "litserve": ("prefix", "/predict"),
    "ray": ("query", "/predict"),
}
_MOSEC = (
    *("--address", "127.0.0.1", "--port", "{port}", "--timeout", "{timeout_ms}"),
    *("--log-level", "error"),
)


def mosec(engine: str, decode: str) -> Candidate:
    """mosec, one stage."""
    return _peer("mosec", engine, decode, "mosec_tags", *_MOSEC)


def litserve(engine: str, decode: str) -> Candidate:
    """LitServe."""
    return _peer("LitServe", engine, decode, "litserve_tags")


def ray(engine: str, decode: str) -> Candidate:
    """Ray Serve, as its documents advise for throughput."""
    advised = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}
    return _peer("Ray Serve", engine, decode, "ray_tags", **advised)


def tutorial() -> Candidate:
    """Flask and Redis as in the known tutorial, behind a server with a thread per client."""
    model = ("python", "-m", "bench.compare.peers.tutorial_model")
    web = (
        *("gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "1", "--threads", "300"),
        *("--log-level", "error", "--no-control-socket", "bench.compare.peers.tutorial_web:app"),
    )
    return Candidate(
        "Flask + Redis tutorial, session, usual decode",
        "session",
        "usual",
        ((find_server(), *_REDIS), *(model,) * CORES, web),
        environment={
            **_told("session", "usual"),
            "REDIS_URL": "unix://{folder}/redis.sock",
        },
        peer="tutorial",
        packages=_PACKAGES["tutorial"],
        kinds=_OWN_KINDS,
    )


def product_ours() -> Candidate:
    """This service on the overhead-only job."""
    return ours("session", MODEL="product", MODELS="product", MODELS_FOLDER="var/bench/models")


def product_mosec() -> Candidate:
    """mosec on the overhead-only job."""
    return Candidate(
        "mosec, numpy",
        "",
        "",
        (("python", "-m", "bench.compare.peers.mosec_product", *_MOSEC),),
        dialect="plain",
        path="/inference",
        environment=_told("", ""),
        peer="mosec",
        packages=_PACKAGES["mosec"],
    )

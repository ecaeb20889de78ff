"""The limit: processes of one thread that loop decode, crop and engine from memory, no HTTP.

`Bare` starts one per core, which wait between measurements and cost nothing then, so that every
server is held against what the machine could do in the same minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.compare.requests import read_calls, right
from bench.compare.tagger import ROOT, Tagger

BATCHES = (1, 2, 4, 8, 16)
START_S = 0.5  # the processes warm up meanwhile, and begin together


@dataclass(frozen=True)
class Limit:
    """What the looping processes did in one measurement."""

    per_s: float  # photos per second of all processes
    decode_ms: float  # CPU of decode and crop per photo
    network_ms: float  # CPU of the engine per photo


class Bare:
    """`with Bare("session", 2) as bare:` two processes that wait for `measure`."""

    def __init__(self, engine: str, processes: int) -> None:
        self.engine, self.batch = engine, 1
        argv = [sys.executable, "-m", "bench.compare.bare", engine]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
        self._processes = [
            subprocess.Popen(
                argv, cwd=ROOT, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
            for _ in range(processes)
        ]  # fmt: skip

    def __enter__(self) -> Bare:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            assert process.stdin
            process.stdin.close()  # which ends its loop
            process.wait(30)

    def tune(self, folder: Path, seconds: float) -> dict[int, float]:
        """Find the batch size that all processes together run fastest; return all speeds."""
        speeds = {}
        for batch in BATCHES:
            self.batch = batch
            speeds[batch] = self.measure(folder, seconds).per_s
        self.batch = max(speeds, key=lambda batch: speeds[batch])
        return speeds

    def measure(self, folder: Path, seconds: float) -> Limit:
        """Loop over the photos in `folder` for `seconds`."""
        start = time.monotonic() + START_S
        order = {"folder": str(folder), "batch": self.batch, "start": start, "seconds": seconds}
        told = self._ask(order, self._processes)
        photos = sum(each["photos"] for each in told)
        return Limit(
            per_s=sum(each["photos"] / each["seconds"] for each in told),
            decode_ms=1000 * sum(each["decode_s"] for each in told) / photos,
            network_ms=1000 * sum(each["network_s"] for each in told) / photos,
        )

    def write_rights(self, folder: Path, decode: str, path: Path) -> None:
        """Write the engine's own answers to the calls in `folder`, as labels that are right."""
        order = {"folder": str(folder), "decode": decode, "rights": str(path)}
        self._ask(order, self._processes[:1])

    def _ask(
        self, order: dict[str, Any], processes: Sequence[subprocess.Popen[str]]
    ) -> list[dict[str, Any]]:
        for process in processes:
            assert process.stdin
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        told = []
        for process in processes:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"bare: the process of {self.engine} ended")
            told.append(json.loads(line))
        return told


def serve(engine: str) -> None:
    """Do what each line of standard input orders, and answer with a line."""
    tagger = Tagger(engine, "own")
    for line in sys.stdin:
        order = json.loads(line)
        answer = write_rights(tagger, order) if "rights" in order else loop(tagger, order)
        print(json.dumps(answer), flush=True)


def loop(tagger: Tagger, order: dict[str, Any]) -> dict[str, float]:
    """Decode, cut and run batches for some seconds."""
    calls = [
        ((Path(order["folder"]) / call.photo).read_bytes(), call.x, call.y)
        for call in read_calls(Path(order["folder"]))
    ]
    photos, decode_s, network_s, turn = 0, 0.0, 0.0, 0
    batch, start, seconds = order["batch"], order["start"], order["seconds"]
    tagger.run([tagger.cut(*calls[0])] * batch)
    time.sleep(max(0.0, start - time.monotonic()))
    begin = time.monotonic()
    while (now := time.monotonic()) < begin + seconds:
        before = time.thread_time()
        cuts = [tagger.cut(*calls[(turn + number) % len(calls)]) for number in range(batch)]
        decode_s += time.thread_time() - before
        before = time.process_time()
        tagger.run(cuts)
        network_s += time.process_time() - before
        turn += batch
        photos += batch
    return {
        "photos": photos, "seconds": now - begin, "decode_s": decode_s, "network_s": network_s
    }  # fmt: skip


def write_rights(tagger: Tagger, order: dict[str, Any]) -> dict[str, float]:
    """Write which labels are right for every call."""
    tagger.decode = order["decode"]
    rights = []
    for call in read_calls(Path(order["folder"])):
        photo = (Path(order["folder"]) / call.photo).read_bytes()
        rights.append(right(tagger.tag([tagger.cut(photo, call.x, call.y)])[0]))
    tagger.decode = "own"
    Path(order["rights"]).write_text(json.dumps(rights), encoding="utf-8")
    return {"calls": len(rights)}


if __name__ == "__main__":
    serve(sys.argv[1])

"""Hundreds of clients that send and read slowly, among others that do not."""

from __future__ import annotations

from pathlib import Path

from bench.chaos import photos
from bench.chaos.load import Load
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.slow import SlowClients
from bench.chaos.stage import Stage

_COUNTS = {"head": 200, "body": 200, "reader": 100}
_CUT_S = 10.0
_TOLERANCE_S = 0.5  # of looking who is still held, now and then
_OPEN = ("01", "08")  # established; closed by the client alone
_UNFELT_S = 0.25  # a p99 under this is no worse, whatever it was before


def _play(stage: Stage, short: bool) -> Seen:
    """See how healthy clients fare alone, and then among slow ones."""

    def load() -> Load:
        return Load(stage.port, photos.numbered, clients=50, every_s=1)

    with load() as alone:
        stage.settle(4 if short else 15)
    slow = SlowClients(stage.port, _COUNTS, lambda: _held(stage.port))
    with slow, load() as among:
        stage.settle(_CUT_S + 2)
    tally = among.tally()
    misses = [*alone.tally().misses(least_ok=1.0), *tally.misses(least_ok=1.0)]
    held_s = {kind: max(slow.held_s(kind)) for kind in _COUNTS}
    for kind, seconds in held_s.items():
        if not 0 < seconds <= _CUT_S + _TOLERANCE_S:
            misses.append(f"slow ({kind}): held for {seconds:.1f} s")
    before_s, p99_s = alone.tally().percentile_s(99), tally.percentile_s(99)
    if p99_s > max(2 * before_s, _UNFELT_S):
        misses.append(f"p99 of the healthy went from {before_s:.3f} to {p99_s:.3f} s")
    cut = {f"{kind} held s": round(seconds, 1) for kind, seconds in held_s.items()}
    return Seen({**cut, "p99 ms before": round(before_s * 1000), **tally.figures()}, misses)


def _held(port: int) -> set[int]:
    """Return the ports of the clients whose connections to `port` the service has not closed.

    They are asked of the kernel: a client that does not read learns of the end of its connection
    long after it.
    """
    held = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, own, other, state, *_ = line.split()
        if int(own[-4:], 16) == port and state in _OPEN:
            held.add(int(other[-4:], 16))
    return held


ROWS = (
    Row(
        "slow clients",
        "500 clients: 200 send a byte a second of a header, 200 of a body, 100 read a byte a "
        "second of 6.6 MB",
        "healthy clients are all answered, their p99 at most doubled (or under 250 ms); the slow "
        "ones cut within 10 s",
        Needs(),
        _play,
    ),
)

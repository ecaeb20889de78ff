"""Replies of Redis that are lost, late or cut off, between it and everything else."""

from __future__ import annotations

from functools import partial

from bench.chaos import photos, recovery
from bench.chaos.load import Load
from bench.chaos.proxy import Harm, Proxy
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage

_PROXY = Proxy()
_SHARE = 0.03
_DELAY_S = 1.2  # longer than anybody waits for Redis
_DEADLINE_MS = 10_000
# In short, on a machine that tests share: a command that was a second under way may come through
# after its worker has gone on, and one batch run again. Its second result is fenced.
_BATCH = 8


def _play(harm: Harm, stage: Stage, short: bool) -> Seen:
    """Harm replies under load; count how often each photo ran."""
    before, harmed = stage.inferences(), _PROXY.harmed
    load = Load(stage.port, photos.numbered, clients=40, every_s=2, deadline_ms=_DEADLINE_MS)
    with stage.results_written() as written, load:
        stage.settle(1)
        _PROXY.harm(harm, _SHARE, _DELAY_S)
        stage.settle(5 if short else 20)
        _PROXY.relent()
        stage.settle(1)
    harmed = _PROXY.harmed - harmed
    tally = load.tally()
    misses = recovery.misses(tally)
    runs = stage.inferences() - before
    ran_again, written_again = runs.total() - len(runs), written.total() - len(written)
    if ran_again > (_BATCH if short else 0):
        misses.append(f"{ran_again} inferences too many")
    if written_again or len(written) < tally.ok:
        misses.append(f"{len(written)} results were written, and {written_again} of them again")
    if harmed < (5 if short else 10):
        misses.append(f"only {harmed} replies were harmed")
    figures = {"replies harmed": harmed, "ran again": ran_again, "written again": written_again}
    return Seen({**figures, **tally.figures()}, misses)


_PROMISE = (
    "enqueue and ack are once-only: each request runs once and has one answer, its own; at least "
    "99 % of what is let in is 200"
)
_NEEDS = Needs(through=_PROXY.between)
ROWS = tuple(
    Row(
        f"replies {name}",
        f"3 % of Redis's replies, to the web tier and to workers, are {what}; deadline 10 s",
        _PROMISE,
        _NEEDS,
        partial(_play, harm),
    )
    for name, harm, what in (
        ("dropped", Harm.DROP, "never forwarded"),
        ("delayed", Harm.DELAY, f"{_DELAY_S} s late, when nobody waits for them any more"),
        ("cut", Harm.CUT, "cut off anywhere, and the connection with them"),
    )
)

"""What the short and the full bench measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.compare import candidates
from bench.compare.candidates import Candidate
from bench.compare.photos import LARGE, MEDIUM, SMALL, Kind

Load = tuple[Kind, int]  # photos of that kind, that many clients


@dataclass(frozen=True)
class Turn:
    """A server and the closed loads it gets in every round."""

    candidate: Candidate
    loads: tuple[Load, ...]

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of photo in it, once each."""
        return list(dict.fromkeys(kind for kind, _ in self.loads))


@dataclass(frozen=True)
class Plan:
    """One form of the bench."""

    turns: Sequence[Turn]
    product: Sequence[Candidate]  # servers of the overhead-only job, under 64 clients
    open: Sequence[Candidate]  # servers that get the open loads
    factors: Sequence[float] = (0.5, 1, 2, 3, 5, 10)  # of a server's capacity

    @property
    def kinds(self) -> list[Kind]:
        """All kinds of photo."""
        return list(dict.fromkeys(kind for turn in self.turns for kind in turn.kinds))


PRODUCT_CLIENTS = 64
_THREE: tuple[Load, ...] = tuple((SMALL, clients) for clients in (1, 16, 64))
_FOUR: tuple[Load, ...] = (*_THREE, (SMALL, 256))
_LARGER: tuple[Load, ...] = ((MEDIUM, 16), (LARGE, 16))


def short() -> Plan:
    """One kind of photo, 1 to 64 clients, mosec and the tutorial's server."""
    servers = [
        candidates.ours("session"),
        candidates.ours("litert"),
        candidates.mosec("session", "usual"),
        candidates.mosec("session", "own"),
        candidates.mosec("litert", "own"),
        candidates.tutorial(),
    ]
    return Plan([Turn(server, _THREE) for server in servers], [], [])


def full() -> Plan:
    """Everything."""
    best, usual = candidates.ours("litert"), candidates.mosec("session", "usual")
    everything = [
        candidates.ours("session"),
        best,
        usual,
        candidates.mosec("litert", "own"),
        candidates.litserve("session", "usual"),
        candidates.ray("session", "usual"),
        candidates.tutorial(),
    ]
    turns = [
        *(Turn(server, (*_FOUR, *_LARGER)) for server in everything),
        Turn(candidates.ours("auto"), ((SMALL, 1), (SMALL, 64))),
        Turn(candidates.mosec("session", "own"), _FOUR),
        Turn(candidates.mosec("litert", "usual"), (*_FOUR, (LARGE, 16))),
        Turn(candidates.litserve("litert", "own"), ((SMALL, 1), (SMALL, 64))),
        Turn(candidates.ray("litert", "own"), ((SMALL, 1), (SMALL, 64))),
        Turn(candidates.fixed_window("litert", "{batch}"), _FOUR),
        Turn(candidates.fixed_window("litert", "32"), _FOUR),
    ]
    product = [candidates.product_ours(), candidates.product_mosec()]
    return Plan(turns, product, [best, usual])

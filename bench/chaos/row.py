"""What a row of the table is: a fault, a promise, and how the one is tried against the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.chaos.stage import Stage

Figures = dict[str, int | float | str]


@dataclass(frozen=True)
class Needs:
    """The service that a row is played on; rows with equal needs share one."""

    engine: str = "quick"  # or `litert`
    workers: int = 2
    web_processes: int = 1
    ms_per_batch: float = 20.0  # the quick engine's: for each batch, and for each image in it
    ms_per_image: float = 1.0
    settings: tuple[tuple[str, str], ...] = ()  # of all its processes, as in the environment
    web_settings: tuple[tuple[str, str], ...] = ()  # of the web tier alone
    worker_settings: tuple[tuple[str, str], ...] = ()  # of the workers alone
    # Between Redis and everything else: the URL of Redis -> the one that is used.
    through: Callable[[str], AbstractContextManager[str]] | None = None


@dataclass(frozen=True)
class Seen:
    """What a row has seen: `misses` says, one by one, where the promise was not kept."""

    figures: Figures
    misses: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One promise and the fault that tries it."""

    name: str
    fault: str
    promise: str
    needs: Needs
    play: Callable[[Stage, bool], Seen]  # the second argument: in its short form, 10 to 20 s

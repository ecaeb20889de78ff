"""All models of one parent of workers: each has workers of its own, so none holds up another."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from shared.folder import ModelsFolder, Shelf
from shared.logs import Seldom
from shared.manifest import ManifestError
from shared.processes import Child
from worker.rollout import Rollout, Yard
from worker.trial import EngineError

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)

_LOOK_S = 1.0
_LOOK_UNSETTLED_S = 0.1  # while something is on its way


class Fleet:
    """Looks at the models folder each second and lets each model follow what is there."""

    def __init__(
        self,
        folder: ModelsFolder,
        names: Iterable[str],
        every: bool,
        yard: Yard,
        max_deadline_s: float,
    ) -> None:
        """Serve the models `names`, and with `every` also all others that there are or will be.

        The first of them is there before the others are begun with. Where it cannot be served,
        `run_once` raises `EngineError`; where one of `names` is no model, `ManifestError`.
        """
        self._folder = folder
        self._names = list(names)
        self._every = every
        self._yard = yard
        self._max_deadline_s = max_deadline_s
        self._rollouts: dict[str, Rollout] = {}
        self._looks_at = 0.0

    def children(self) -> list[Child]:
        """Return the processes that run."""
        return [child for rollout in self._rollouts.values() for child in rollout.children()]

    def run_once(self, now: float) -> None:
        """Start again what died; from time to time, look at the folder."""
        for rollout in self._rollouts.values():
            rollout.run_once(now)
        if now >= self._looks_at:
            self._look(now)
            settled = all(rollout.is_settled for rollout in self._rollouts.values())
            self._looks_at = now + (_LOOK_S if settled else _LOOK_UNSETTLED_S)

    def _look(self, now: float) -> None:
        try:
            shelves = self._folder.scan()
        except (ManifestError, OSError) as error:
            if not self._rollouts:
                raise
            _seldom.warning("models folder cannot be read", error=str(error))
            return
        for name in self._wanted(shelves):
            rollout = self._rollouts.setdefault(
                name, Rollout(name, self._yard, self._max_deadline_s)
            )
            rollout.look(now, shelves[name])
            if name == self._names[0]:
                if not rollout.is_settled and not rollout.serves:
                    return
                if not rollout.serves:
                    raise EngineError("; ".join(rollout.reasons()))
        for name in set(self._rollouts) - {self._names[0], *shelves}:
            self._rollouts[name].end(now)
            if self._rollouts[name].is_over:
                del self._rollouts[name]

    def _wanted(self, shelves: dict[str, Shelf]) -> list[str]:
        unknown = [name for name in self._names if name not in shelves]
        if unknown and not self._rollouts:
            raise ManifestError(f"there is no model {unknown[0]!r}")
        names = [name for name in self._names if name in shelves]
        return names + [name for name in shelves if self._every and name not in names]

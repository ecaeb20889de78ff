"""What this web process serves: versions of models, their queues, and who waits for results.

Of each model one version is asked, unless a client names another. Which one, every web process
finds by itself: the models folder says which is wanted and since when, Redis which has live
workers and since when. By these all processes turn to a new version at the same moment, so that
nobody who has seen an answer of the new one gets one of the old one afterwards. Where the version
that is wanted has no live worker, the next in the folder's order that has some is asked instead,
even if only its label keeps them; but not that where another version is pinned.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import gevent
from redis.exceptions import RedisError

from shared.folder import ModelsFolder, Shelf
from shared.logs import Seldom, fields
from shared.manifest import ManifestError, Model
from shared.queue import Census, Queue
from web.dispatch import Dispatcher
from web.gate import Gate
from web.tickets import OverloadedError, StoreAwayError

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)

_LOOK_S = 1.0
# From when a version is wanted and its workers are all alive until it is turned to: longer than a
# look takes to come round, so that no process learns of it too late.
_NOTICE_S = 2.0


class NoSuchModelError(LookupError):
    """No such model, or no such version of it, is served."""


@dataclass(frozen=True)
class Served:
    """One version of a model, and this process's way to the workers that run it."""

    model: Model
    queue: Queue  # to look at
    dispatcher: Dispatcher
    gate: Gate

    def refusal(self, deadline_s: float, items: int = 1) -> Exception | None:
        """Return what refuses a request of so many items before it is read, or None."""
        excess_s = self.gate.excess_s(deadline_s)
        if excess_s > 0:
            return OverloadedError(excess_s * 1000)
        return self.dispatcher.refused.now(items)

    def census(self) -> Census:
        """Return what the queue looks like now. Raises `StoreAwayError`."""
        try:
            return self.queue.census()
        except RedisError as error:
            raise StoreAwayError("Redis does not answer") from error


@dataclass
class _Versions:
    """The versions of one model that this process knows."""

    current: Served
    known: dict[str, Served] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)  # versions that workers serve
    labels: Mapping[str, str] = field(default_factory=dict)  # names that stand for a version
    turn: tuple[float, Served] | None = None  # from when on, monotonic seconds, another is current

    def now(self) -> Served:
        """Return the version that is asked now."""
        if self.turn is not None and time.monotonic() >= self.turn[0]:
            (_, self.current), self.turn = self.turn, None
            _log.info("version turned to", extra=fields(queue=self.current.queue.name))
        return self.current


class Catalog:
    """The models by name; `serve` makes the way to the workers of one version."""

    def __init__(
        self, folder: ModelsFolder, default: str, serve: Callable[[Model], Served], kept_s: float
    ) -> None:
        """Read the folder. Raises `ManifestError` where the default model cannot be read.

        A version that is gone is still asked for results for `kept_s`.
        """
        self.default = default
        self._kept_s = kept_s
        self._gone: list[tuple[float, Served]] = []  # until when, monotonic seconds, it is kept
        self._folder = folder
        self._serve = serve
        self._models: dict[str, _Versions] = {}
        self._read()
        if default not in self._models:
            raise ManifestError(f"model {default!r} cannot be read")

    def __iter__(self) -> Iterator[Served]:
        """Iterate over the version of each model that is asked now."""
        return iter([versions.now() for versions in self._models.values()])

    def everything(self) -> list[Served]:
        """Return all versions that are known: results are kept in the queues of old ones, too."""
        known = [served for each in self._models.values() for served in each.known.values()]
        return known + [served for _, served in self._gone]

    def find(self, name: str = "", version: str = "") -> Served:
        """Return what serves a model: the default one where it is not named.

        A version that is named, by its number or a label, is found while workers serve it.
        Raises `NoSuchModelError`.
        """
        versions = self._models.get(name or self.default)
        if versions is None:
            raise NoSuchModelError(f"there is no model {name!r}")
        current = versions.now()
        version = versions.labels.get(version, version)
        if version in ("", current.model.version):
            return current
        if version not in versions.live:
            raise NoSuchModelError(f"there is no version {version!r} of model {name!r}")
        return versions.known[version]

    def available(self, name: str = "") -> list[Served]:
        """Return the versions of a model that can be asked. Raises `NoSuchModelError`."""
        current = self.find(name)
        versions = self._models[current.model.name]
        return [current] + [
            served
            for number, served in versions.known.items()
            if number in versions.live and served is not current
        ]

    def refusal(self, name: str, deadline_s: float) -> Exception | None:
        """Return what refuses any request for a model now, or None, also for an unknown one."""
        versions = self._models.get(name or self.default)
        return versions.now().refusal(deadline_s) if versions else None

    # --- what changes while it runs

    def watch(self) -> None:
        """Look at the folder and the workers again and again: what a greenlet does for ever."""
        while True:
            try:
                self.look()
            except (ManifestError, OSError, RedisError) as error:  # all stays as it is
                _seldom.warning("models cannot be looked at", error=str(error))
            except Exception:  # without it, no new version would be seen any more
                _log.exception("looking at the models failed")
            gevent.sleep(_LOOK_S)

    def look(self) -> None:
        """Take note of versions that came and went, and of which have workers.

        Raises `ManifestError`, `OSError` and `RedisError`; then all stays as it is.
        """
        for name, found in self._read().items():
            self._turn(self._models[name], found, self._shelves[name])
        while self._gone and self._gone[0][0] < time.monotonic():
            self._gone.pop(0)[1].dispatcher.stop()

    def _read(self) -> dict[str, list[Model]]:
        """Return per model what is in the folder, the version that is wanted first."""
        found: dict[str, list[Model]] = {}
        shelves = self._shelves = self._folder.scan()
        for name, shelf in shelves.items():
            models = [version.model for version in shelf.versions if version.model]
            if not models:
                if name not in self._models:
                    for version in shelf.versions:
                        _seldom.warning("model cannot be read", error=version.error)
                continue
            if name not in self._models:
                first = self._serve(models[0])
                self._models[name] = _Versions(first, {first.model.version: first})
            self._models[name].labels = shelf.labels
            known = self._models[name].known
            for model in models:
                if model.version not in known:
                    known[model.version] = self._serve(model)
            found[name] = models
        for name in set(self._models) - {self.default, *shelves}:
            for served in self._models.pop(name).known.values():
                self._part_with(served)
        return found

    def _turn(self, versions: _Versions, found: Sequence[Model], shelf: Shelf) -> None:
        """Decide which version is asked from when on."""
        current = versions.now()
        ages = {
            served.model.version: served.queue.served_ms() for served in versions.known.values()
        }
        versions.live = {version for version, age in ages.items() if age is not None}
        current = self._renew(versions, found, current)
        wanted = [versions.known[model.version] for model in found]
        live = [served for served in wanted if served.model.version in versions.live]
        if shelf.pinned:  # what is served for those who name its label is not for all
            only = set(shelf.labels.values()) - {shelf.versions[0].number}
            live = [served for served in live if served.model.version not in only]
        best = live[0] if live else current
        if best is current:
            versions.turn = None
        else:
            alive_s = (ages[best.model.version] or 0.0) / 1000
            now, changed = time.time(), shelf.changed
            # What is dated in the future (a clock was set back) says nothing.
            wanted_s = now - changed if changed <= now else float("inf")
            turns_at = time.monotonic() + _NOTICE_S - min(alive_s, wanted_s)
            if versions.turn is None or versions.turn[1] is not best:
                versions.turn = turns_at, best
            else:  # never later than it was to be: the old workers go some time after that
                versions.turn = min(versions.turn[0], turns_at), best
        in_use = {id(served) for served in (current, best, *wanted)}
        for version, served in list(versions.known.items()):
            if id(served) not in in_use and version not in versions.live:
                del versions.known[version]
                self._part_with(served)

    def _renew(self, versions: _Versions, found: Sequence[Model], current: Served) -> Served:
        """Take up what a version has become while no worker served it; return the current one.

        As long as workers serve it, they serve what it was.
        """
        for model in found:
            served = versions.known[model.version]
            if served.model != model and model.version not in versions.live:
                versions.known[model.version] = self._serve(model)
                self._part_with(served)
                if served is current:
                    current = versions.current = versions.known[model.version]
        return current

    def _part_with(self, served: Served) -> None:
        self._gone.append((time.monotonic() + self._kept_s, served))

"""How one version of a model follows another: no request fails, and none waits for it.

The workers of the new version are started beside those of the old one, which go on. When all of
them are loaded, held against the golden examples, warmed up and alive in the new version's queue,
the web tier turns to that (`web/catalog.py`), and the old ones go as soon as their queue is empty.
Those of a version that has a label stay, or are started when the version that is wanted serves.
A version that no engine can serve is refused, and not tried again until its files change.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from redis.exceptions import RedisError

from shared.folder import Fingerprint, Shelf, Version
from shared.logs import fields
from shared.manifest import Model
from shared.processes import Child
from shared.queue import Queue
from worker.crew import Crew
from worker.group import Group
from worker.trial import Choice, EngineError

_log = logging.getLogger(__name__)

# The web tier looks each second and turns 2 s after all workers were alive; what it was preparing
# for the old queue then comes in, each request before its deadline.
_TURN_S = 4.0
_MOST_DEATHS = 3  # before it was ready
_REFUSED = 2  # a worker's exit status where it cannot serve the model


class Yard(Protocol):
    """Where crews are made."""

    def decide(self, model: Model, is_first: bool) -> Choice:
        """Return the engine for a model, however long that takes. Raises `EngineError`."""
        ...

    def crew(self, model: Model, choice: Choice) -> Crew:
        """Return workers that are still to be started."""
        ...

    def queue(self, model: Model) -> Queue:
        """Return the queue of a version."""
        ...


class _Decision(threading.Thread):
    """Chooses the engine for a version while the others go on."""

    def __init__(self, version: Version, decide: Callable[[], Choice]) -> None:
        super().__init__(name="trial", daemon=True)
        self.version = version
        self.choice: Choice | None = None
        self.error = ""
        self._decide = decide
        self.start()

    def run(self) -> None:
        try:
            self.choice = self._decide()
        except EngineError as error:
            self.error = str(error)
        except Exception as error:  # it must not be tried for ever, whatever it is
            _log.exception("trial failed")
            self.error = str(error)


@dataclass
class Rollout:
    """One model: the version that serves, one that is to come, those with a label or to go."""

    name: str
    yard: Yard
    max_deadline_s: float
    refused: dict[str, tuple[Fingerprint, str]] = field(default_factory=dict)
    is_settled: bool = False  # nothing is on its way: a version serves, or all were refused
    _serving: Group | None = None
    _next: Group | None = None
    _beside: list[Group] = field(default_factory=list)
    _decision: _Decision | None = None
    _is_for_label: bool = False  # what is to come is not to be asked by others
    _seen: dict[str, Fingerprint] = field(default_factory=dict)

    @property
    def serves(self) -> bool:
        """Whether there are workers that serve."""
        return self._serving is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        return not self.children() and not self._serving and not self._next

    def reasons(self) -> list[str]:
        """Return why each of the versions that were refused was."""
        return [f"{self.name} {number}: {why}" for number, (_, why) in self.refused.items()]

    def children(self) -> list[Child]:
        """Return the processes that run."""
        return [child for group in self._groups() for child in group.crew.children()]

    def run_once(self, now: float) -> None:
        """Start again what died."""
        for group in self._groups():
            group.crew.run_once(now)
        self._beside = [
            group for group in self._beside if not group.is_dismissed or group.crew.children()
        ]

    def look(self, now: float, shelf: Shelf) -> None:
        """Go on with what is under way, and begin what is due: to be called each second."""
        before, self._seen = self._seen, {each.number: each.fingerprint for each in shelf.versions}
        wanted = self._wanted(shelf, before)
        if wanted is not None:
            serves = self._serving is not None and self._serving.version.number == wanted.number
            lacking = self._lacking(shelf, before) if serves else None
            self._is_for_label = lacking is not None
            self._follow(now, lacking or wanted)
        elif shelf.pinned and not self._is_for_label:  # no other is to take over
            self._leave_others(now, shelf.versions[0].number)
        if self._next is not None:
            self._see_to_next(now, self._next)
        for group in self._beside:
            if any(group.is_of(version) for version in self._labelled(shelf)):
                group.leaves_at = self._farewell(now)
            self._see_off(now, group)
        underway = self._next or self._decision
        self.is_settled = not underway and (self.serves or wanted is None)

    def end(self, now: float) -> None:
        """Let all workers go: the model is no longer there."""
        self._decision = None
        for group in (self._serving, self._next):
            if group is not None:
                self._send_away(now, group)
        self._serving = self._next = None
        for group in self._beside:
            self._see_off(now, group)

    def _groups(self) -> list[Group]:
        return [group for group in (self._serving, self._next, *self._beside) if group]

    def _wanted(self, shelf: Shelf, before: Mapping[str, Fingerprint]) -> Version | None:
        """Return the version that is to be asked: the first that was not refused."""
        for version in shelf.versions[:1] if shelf.pinned else shelf.versions:
            if self._serving is not None and self._serving.version.number == version.number:
                return version
            if self._can_begin(version, before):
                return version
        return None

    def _lacking(self, shelf: Shelf, before: Mapping[str, Fingerprint]) -> Version | None:
        """Return a version that has a label and no workers."""
        there = [self._serving, *self._beside]
        numbers = {group.version.number for group in there if group and not group.is_dismissed}
        for version in self._labelled(shelf):
            if version.number not in numbers and self._can_begin(version, before):
                return version
        return None

    def _labelled(self, shelf: Shelf) -> list[Version]:
        """Return the versions that a label stands for, but those that were refused."""
        numbers = shelf.labels.values()
        versions = [version for version in shelf.versions if version.number in numbers]
        return [version for version in versions if not self._is_refused(version)]

    def _is_refused(self, version: Version) -> bool:
        return self.refused.get(version.number, ((), ""))[0] == version.fingerprint

    def _can_begin(self, version: Version, before: Mapping[str, Fingerprint]) -> bool:
        """Return whether a version was not refused; while it is being copied, it waits."""
        if self.serves and before.get(version.number) != version.fingerprint:
            return False
        if self._is_refused(version):
            return False
        if version.model is None:
            self._refuse(version, version.error)
        return version.model is not None

    def _follow(self, now: float, wanted: Version) -> None:
        number = wanted.number
        self._leave_others(now, number)
        if self._decision is not None and self._decision.version != wanted:
            self._decision = None  # its process ends by itself
        if self._serving is not None and self._serving.version.number == number:
            self._serving.note_changes(wanted)
            return
        if self._next is not None:
            return
        mine = [group for group in self._beside if group.version.number == number]
        if not all(group.is_of(wanted) for group in mine):
            return  # until they are gone: the two would take from one queue
        for group in mine:
            if not group.is_dismissed:  # back again
                self._beside.remove(group)
                group.crew.deaths.clear()  # those were while it served
                self._next = group
                return
        self._decide(wanted)

    def _leave_others(self, now: float, number: str) -> None:
        """Give up what was to come, unless it is version `number`."""
        if self._decision is not None and self._decision.version.number != number:
            self._decision = None
        if self._next is not None and self._next.version.number != number:
            self._give_up(now, self._next)

    def _decide(self, wanted: Version) -> None:
        model, decision = wanted.model, self._decision
        assert model is not None
        if decision is None:
            is_first = not self.serves
            self._decision = _Decision(wanted, lambda: self.yard.decide(model, is_first))
        elif decision.error:
            self._decision = None
            self._refuse(wanted, decision.error)
        elif decision.choice is not None:
            self._decision = None
            crew = self.yard.crew(model, decision.choice)
            self._next = Group(wanted, crew, self.yard.queue(model))

    def _see_to_next(self, now: float, group: Group) -> None:
        """Let `group` serve when all of its workers are ready."""
        deaths, is_known = group.crew.deaths, False
        try:
            if group.is_ready():
                deaths.clear()
                if self._is_for_label:
                    self._beside.append(group)
                    self._next = None
                    return
                if self._serving is not None:
                    self._send_away(now, self._serving)
                    event = fields(model=self.name, version=group.version.number)
                    _log.info("version takes over", extra=event)
                self._serving, self._next = group, None
                group.leaves_at = float("inf")
                return
            is_known = True
        except RedisError as error:
            _log.warning("redis is away", extra=fields(error=str(error)))
        # Without Redis nobody knows whether they are ready; one that refuses has said so itself.
        if _REFUSED in deaths or (is_known and len(deaths) >= _MOST_DEATHS):
            self._give_up(now, group)
            self._refuse(group.version, f"its worker ended with status {deaths[-1]}")

    def _give_up(self, now: float, group: Group) -> None:
        """Send away what was to come; at once where it never was ready, so that nobody turns to it.

        The web tier would, where what is pinned has no workers.
        """
        self._send_away(now, group)
        self._next = None
        with suppress(RedisError):  # then nobody knows
            if group.queue.served_ms() is None:
                group.leaves_at = now

    def _send_away(self, now: float, group: Group) -> None:
        group.leaves_at = self._farewell(now)
        self._beside.append(group)

    def _farewell(self, now: float) -> float:
        """Return until when a version is needed that nobody is to ask any more."""
        return now + _TURN_S + self.max_deadline_s

    def _see_off(self, now: float, group: Group) -> None:
        """Dismiss the workers of `group` once nobody needs them."""
        if group.is_dismissed or now < group.leaves_at:
            return
        try:
            # Beyond the longest deadline, what is in the queue waits for the workers of others.
            if not group.is_idle() and now < group.leaves_at + self.max_deadline_s:
                return
        except RedisError:
            return
        group.is_dismissed = True
        group.crew.dismiss()
        _log.info("version left", extra=fields(model=self.name, version=group.version.number))

    def _refuse(self, version: Version, reason: str) -> None:
        self.refused[version.number] = version.fingerprint, reason
        stays = self._serving.version.number if self._serving else ""
        about = fields(model=self.name, version=version.number, reason=reason, stays=stays)
        _log.error("version refused", extra=about)

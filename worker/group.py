"""The workers of one version of a model, and the queue that they take from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from shared.folder import Version
from shared.logs import fields
from shared.queue import Queue
from worker.crew import Crew

_log = logging.getLogger(__name__)


@dataclass
class Group:
    """The workers of one version."""

    version: Version  # as it was when its workers were started
    crew: Crew
    queue: Queue
    leaves_at: float = float("inf")  # not before
    is_dismissed: bool = False
    noted: Version | None = None  # as it was last seen in the folder

    def is_ready(self) -> bool:
        """Return whether all of them are alive and warm. Raises `RedisError`."""
        alive = {worker.get("token") for worker in self.queue.census().workers}
        return self.crew.tokens <= alive

    def note_changes(self, found: Version) -> None:
        """Say, once, that files of a version that serves were changed."""
        if not self.is_of(found) and not (self.noted and _are_alike(self.noted, found)):
            _log.warning(
                "changes of a version that serves are not taken up: make a new version",
                extra=fields(version=found.number, queue=self.queue.name),
            )
        self.noted = found

    def is_of(self, found: Version) -> bool:
        """Return whether its workers serve what now is in the folder."""
        return _are_alike(self.version, found)

    def is_idle(self) -> bool:
        """Return whether nothing waits for them or is held by them. Raises `RedisError`."""
        census = self.queue.census()
        return not census.items and not census.leased


def _are_alike(one: Version, other: Version) -> bool:
    """Return whether two looks at a version found the same, but for what cannot be read."""
    is_readable = one.model is not None and other.model is not None
    return one.files == other.files and (one.model == other.model or not is_readable)

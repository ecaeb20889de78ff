"""What this web process serves: versions of models, their queues, and who waits for results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from shared.manifest import Model
from shared.queue import Queue
from web.dispatch import Dispatcher
from web.gate import Gate


class NoSuchModelError(LookupError):
    """No such model, or no such version of it, is served."""


@dataclass(frozen=True)
class Served:
    """One version of a model, and this process's way to the workers that run it."""

    model: Model
    queue: Queue  # to look at
    dispatcher: Dispatcher
    gate: Gate


class Catalog:
    """The models by name; `serve` makes the way to one's workers."""

    def __init__(
        self, models: Iterable[Model], default: str, serve: Callable[[Model], Served]
    ) -> None:
        self.default = default
        self._served = {model.name: serve(model) for model in models}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def find(self, name: str = "", version: str = "") -> Served:
        """Return what serves a model: the default one where it is not named.

        Raises `NoSuchModelError`.
        """
        served = self._served.get(name or self.default)
        if served is None or version not in ("", served.model.version):
            raise NoSuchModelError(f"there is no model {name!r}" + f" {version}".rstrip())
        return served

    def gate(self, name: str) -> Gate | None:
        """Return the gate of a model, or None where there is no such model."""
        served = self._served.get(name or self.default)
        return served.gate if served else None

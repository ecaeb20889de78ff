"""The folder of models, looked at again and again: which versions of which models are in it now."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.logs import fields
from shared.manifest import ManifestError, Model, model_folders, read_model, read_versions

_log = logging.getLogger(__name__)

Fingerprint = tuple[tuple[str, int, int, int], ...]  # of each file: path, inode, size, nanoseconds


@dataclass(frozen=True)
class Version:
    """A version of a model as it lies in the folder; `model` is None where it cannot be read."""

    number: str
    fingerprint: Fingerprint
    model: Model | None
    error: str = ""

    @property
    def files(self) -> Fingerprint:
        """The fingerprint of its own files: without the `model.toml` of all versions."""
        return tuple(entry for entry in self.fingerprint if entry[0] != "model.toml")


@dataclass(frozen=True)
class Shelf:
    """The versions of one model, the one that is wanted first."""

    versions: tuple[Version, ...] = ()
    pinned: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)  # names that stand for a version
    changed: float = 0.0  # seconds since 1970: when a version came or went, or was pinned


class ModelsFolder:
    """Reads only what changed since the last look; a look costs a `stat` for each file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shelves: dict[str, Shelf] = {}
        self._complaints: dict[str, str] = {}

    def scan(self) -> dict[str, Shelf]:
        """Return every model's versions by the model's name.

        What cannot be read at all is as it was, and said once. Raises `ManifestError` where there
        is no model.
        """
        self._shelves = {
            path.name: self._look(path, self._shelves.get(path.name, Shelf()))
            for path in model_folders(self._path)
        }
        return self._shelves

    def _look(self, folder: Path, before: Shelf) -> Shelf:
        known = {version.number: version for version in before.versions}
        try:
            versions = read_versions(folder)
            found = [self._read(folder, number, known.get(number)) for number in versions.names]
            changed = _changed(folder)
        except (ManifestError, OSError) as error:  # OSError: a folder that goes away meanwhile
            self._complain(folder.name, str(error))
            return before if before.versions else Shelf((Version("", (), None, str(error)),))
        self._complaints.pop(folder.name, None)
        return Shelf(tuple(found), bool(versions.pinned), versions.labels, changed)

    def _read(self, folder: Path, number: str, known: Version | None) -> Version:
        fingerprint = tuple(_stats(folder, number))
        if known is not None and known.fingerprint == fingerprint:
            return known
        try:
            return Version(number, fingerprint, read_model(folder, number))
        except ManifestError as error:
            return Version(number, fingerprint, None, str(error))

    def _complain(self, name: str, error: str) -> None:
        if self._complaints.get(name) != error:
            self._complaints[name] = error
            _log.error("model cannot be read", extra=fields(model=name, error=error))


def _changed(folder: Path) -> float:
    manifest = folder / "model.toml"
    times = [path.stat().st_mtime for path in (folder, manifest) if path.exists()]
    return max(times)


def _stats(folder: Path, number: str) -> Iterator[tuple[str, int, int, int]]:
    paths = [folder / "model.toml"] if (folder / "model.toml").exists() else []
    for parent, _, names in os.walk(folder / number):
        paths += [Path(parent, name) for name in names]
    for path in sorted(paths):
        stat = path.stat()
        yield str(path.relative_to(folder)), stat.st_ino, stat.st_size, stat.st_mtime_ns

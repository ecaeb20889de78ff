"""Model files from object storage: a local copy of a folder at any URL that fsspec knows.

What serves reads the copy (`MODELS_FOLDER`); a process of its own keeps it like the original
(`MODELS_URL`), so that no web process and no worker waits for a far-away store. A version of a
model comes and goes at a stroke: it is fetched beside and moved into place. Only what changed is
fetched. A version that is still being uploaded is left until two looks have found it the same; only
an empty copy takes what there is at once. What is gone goes when two looks have missed it: a store
may list less than it has.
"""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from shared.logs import Seldom, fields
from shared.processes import Child, spawn
from shared.settings import SettingError, Settings

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)

_LOOK_S = 5.0
_RECORD, _INCOMING = ".mirror.json", ".incoming"

Files = dict[str, str]  # of one unit: path in it -> what changes when the file does
Units = dict[str, Files]  # `tags/1`, a version, or `tags`, a model's own files


class Mirror:
    """A local copy of the models below `url`."""

    def __init__(self, url: str, folder: Path) -> None:
        """Raises `SettingError` where no package for the URL is installed."""
        try:
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # ships no types

            self._store, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise SettingError(f"MODELS_URL={url}: {error}") from error
        self._root = PurePosixPath(root)
        self._url = url
        self._folder = folder
        self._seen: Units | None = None
        self.is_behind = False  # something is there that one more look has to find the same

    def sync(self) -> int:
        """Make the copy like the original; return how many files were fetched.

        Raises `SettingError` where the folder holds anything else, and whatever the store says; of
        what it does not hand out, an `OSError` when all the rest is done.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            here, there = self._recorded(), self._list()
            seen, self._seen = self._seen, there
            if seen is None:
                seen = here or there
            fetched = 0
            failed: list[str] = []
            # Versions first: a `model.toml` may be about one of them.
            for unit in sorted(there, key=lambda unit: (-unit.count("/"), unit)):
                is_new = here.get(unit) != there[unit]
                if is_new and seen.get(unit) == there[unit]:
                    try:
                        fetched += self._take(unit, here.get(unit, {}), there[unit])
                    except Exception as error:  # every store has errors of its own
                        failed.append(f"{unit}: {error}")
                        continue
                    here[unit] = there[unit]
                    self._record(here)
            for unit in sorted(set(here) - set(there) - set(seen), reverse=True):
                self._drop(unit, here.pop(unit))
                self._record(here)
            self.is_behind = here != there
        if failed:
            raise OSError("; ".join(failed))
        return fetched

    def holds_any(self) -> bool:
        """Return whether the copy holds models. Raises `SettingError` where it is another's."""
        return bool(self._recorded())

    def _list(self) -> Units:
        self._store.invalidate_cache()
        units: Units = {}
        for path, about in self._store.find(str(self._root), detail=True).items():
            inner = PurePosixPath(path).relative_to(self._root)
            if path.endswith("/"):  # a store's stand-in for a folder
                continue
            if len(inner.parts) < 2 or any(part.startswith(".") for part in inner.parts):
                continue
            is_in_version = len(inner.parts) > 2
            unit = "/".join(inner.parts[: 2 if is_in_version else 1])
            name = "/".join(inner.parts[2 if is_in_version else 1 :])
            units.setdefault(unit, {})[name] = _mark(about)
        if not units:
            raise FileNotFoundError(f"{self._url}: no model, that is no <name>/model.toml")
        return units

    def _take(self, unit: str, before: Files, files: Files) -> int:
        changed = [name for name, mark in files.items() if before.get(name) != mark]
        incoming, place = self._folder / _INCOMING / unit, self._folder / unit
        shutil.rmtree(self._folder / _INCOMING, ignore_errors=True)
        for name in files:
            (incoming / name).parent.mkdir(parents=True, exist_ok=True)
            if name in changed or not (place / name).exists():
                self._store.get_file(str(self._root / unit / name), str(incoming / name))
            else:
                (incoming / name).hardlink_to(place / name)
        if "/" in unit:
            _move(incoming, place)
        else:
            place.mkdir(exist_ok=True)
            for name in files:
                (incoming / name).replace(place / name)
            for name in set(before) - set(files):
                (place / name).unlink(missing_ok=True)
        shutil.rmtree(self._folder / _INCOMING, ignore_errors=True)
        _log.info("model fetched", extra=fields(unit=unit, files=len(changed)))
        return len(changed)

    def _drop(self, unit: str, files: Files) -> None:
        place = self._folder / unit
        if "/" in unit:
            _move(None, place)
        else:
            for name in files:
                (place / name).unlink(missing_ok=True)
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        _log.info("model dropped", extra=fields(unit=unit))

    def _recorded(self) -> Units:
        """Return what the copy is known to hold."""
        try:
            record = json.loads((self._folder / _RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            record = {"url": self._url, "units": {}}
            if any(not path.name.startswith(".") for path in self._folder.iterdir()):
                record["url"] = ""
        if record["url"] != self._url:
            raise SettingError(f"MODELS_FOLDER={self._folder} is no copy of MODELS_URL={self._url}")
        units: Units = record["units"]
        return units

    def _record(self, units: Units) -> None:
        new = self._folder / f"{_RECORD}.new"
        new.write_text(json.dumps({"url": self._url, "units": units}), encoding="utf-8")
        new.replace(self._folder / _RECORD)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off another process that keeps the same copy: the web tier's, or the workers'."""
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Follower:
    """The process that follows the store for ever, and is started anew when it has died."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child = spawn(command)
        self._started_at = time.monotonic()

    def run_once(self, now: float) -> None:
        """Start it anew where it has died, at `now` in monotonic seconds."""
        if self._child.poll() is not None and now - self._started_at >= _LOOK_S:
            _log.warning("mirror died", extra=fields(pid=self._child.pid))
            self._started_at = now
            try:
                self._child = spawn(self._command)
            except OSError as error:  # no memory for it, or too many processes, at this moment
                _log.error("mirror cannot be started", extra=fields(error=str(error)))

    def children(self) -> list[Child]:
        """Return the process."""
        return [self._child]


def start_mirror(settings: Settings, command: Sequence[str]) -> Follower | None:
    """Fetch what is wanted, then let a process follow it, where there is a URL.

    `command` is a script of ours with a flag that leads to `mirror` by its next word. Both are done
    by processes of their own: a store's library starts threads, and a web process is a fork.
    Raises `SettingError` where nothing can be fetched and nothing is there.
    """
    if not settings.models_url:
        return None
    first = spawn([*command, "once"], subprocess.PIPE)
    said, errors = first.communicate()
    print(said.decode(errors="replace"), end="", flush=True)
    if first.returncode:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise SettingError(last.partition(": ")[2])  # without the name of the script
    return Follower([*command, "follow"])


def mirror(settings: Settings, how: str) -> None:
    """Do what a process of `start_mirror` does: `once`, or `follow` for ever."""
    if how == "once":
        sync_once(settings)
    else:
        follow(settings)


def sync_once(settings: Settings) -> None:
    """Fetch what is wanted, where there is a URL.

    A store that is away is a warning where the copy has models. Raises `SettingError`.
    """
    if not settings.models_url:
        return
    mirror = Mirror(settings.models_url, settings.models_folder)
    try:
        mirror.sync()
        if mirror.is_behind:
            time.sleep(_LOOK_S)
            mirror.sync()
    except SettingError:
        raise
    except Exception as error:  # every store has errors of its own
        if not mirror.holds_any():
            raise SettingError(f"MODELS_URL={settings.models_url}: {error}") from error
        about = "models cannot be fetched: those of the copy are served"
        _log.warning(about, extra=fields(url=settings.models_url, error=str(error)))


def follow(settings: Settings, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Keep the copy like the original for ever."""
    mirror = Mirror(settings.models_url, settings.models_folder)
    while goes_on():
        try:
            mirror.sync()
        except Exception as error:  # likewise; the copy stays as it is
            _seldom.warning("models cannot be fetched", url=settings.models_url, error=str(error))
        time.sleep(_LOOK_S)


def _mark(about: dict[str, Any]) -> str:
    """Return what changes when a file does, as far as its store tells."""
    names = ("size", "ETag", "etag", "md5", "generation", "mtime", "LastModified", "created")
    return " ".join(str(about[name]) for name in names if about.get(name) is not None)


def _move(new: Path | None, place: Path) -> None:
    """Put `new` where `place` is, or nothing; what was there is gone."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    place.parent.mkdir(exist_ok=True)
    if place.exists():
        place.rename(old)
    if new is not None:
        new.rename(place)
    shutil.rmtree(old, ignore_errors=True)

"""A file of the media folder, by a path from outside that cannot lead out of it."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO would wait for somebody to write into it.
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class NoSuchImageError(Exception):
    """`image_path` names nothing inside the media folder, or there is none."""


def read_media(folder: str, path: str, most: int) -> bytes:
    """Return the file at `path` below `folder`, of `most` bytes at the most.

    Each part is opened below the one before, and none through a link, so that whoever changes the
    folder meanwhile leads nobody out of it. Raises `NoSuchImageError`.
    """
    if not folder:
        raise NoSuchImageError("this service reads no images by path")
    *between, name = path.split("/")
    try:
        if not name or any(part in ("", ".", "..") for part in (*between, name)):
            raise ValueError("not a plain path")
        with ExitStack() as opened:
            at = _open(opened, str(Path(folder).resolve(strict=True)), None, _FOLDER)
            for part in between:
                at = _open(opened, part, at, _FOLDER)
            at = _open(opened, name, at, _FILE)
            found = os.fstat(at)
            if stat.S_ISREG(found.st_mode) and found.st_size <= most:
                with os.fdopen(os.dup(at), "rb") as file:
                    return file.read(most)
    except (OSError, ValueError):  # ValueError: a NUL, or what no file system can name
        pass
    raise NoSuchImageError(f"no such file of at most {most} bytes in the media folder")


def _open(opened: ExitStack, part: str, below: int | None, flags: int) -> int:
    number = os.open(part, flags, dir_fd=below)
    opened.callback(os.close, number)
    return number

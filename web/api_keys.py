"""API keys: who may come in, and for what.

They are in a TOML file, hashed, a table for each:

    [[key]]
    name = "shop"
    sha256 = "5e88…"                  # of the key itself, which is nowhere
    scopes = ["predict", "feedback"]
    rate_per_s = 20                   # these two may be left out: RATE_PER_S and RATE_BURST then
    rate_burst = 40

`python -m web.api_keys shop --scopes predict,feedback` makes a key and its table. A name may be
there twice: to change a key, add the new one, and take the old one away when nobody uses it.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import logging
import re
import secrets
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.logs import fields

_log = logging.getLogger(__name__)

SCOPES = ("predict", "feedback", "admin")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name", "sha256", "scopes", "rate_per_s", "rate_burst"}


class KeysFileError(Exception):
    """The file of API keys cannot be used; the message says why."""


class UnknownKeyError(Exception):
    """The request has no key, or one that is not in the file."""

    def __init__(self) -> None:
        super().__init__("a key is needed, in the header Authorization (Bearer) or X-API-Key")


class ScopeError(Exception):
    """The key is not for this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"the key is not for the scope {scope!r}")


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key: all but the key itself."""

    name: str
    digest: bytes  # SHA-256. A key is 32 random bytes: there is nothing to guess, or to salt
    scopes: frozenset[str]
    rate_per_s: float | None
    rate_burst: int | None


class ApiKeys:
    """The keys of a file, which is read again when it has changed."""

    def __init__(self, path: Path) -> None:
        """Raises `KeysFileError` where the file is broken or not there."""
        self._path = path
        self._stamp = _stamp(path)
        self._keys = read_keys(path)

    def find(self, secret: str) -> ApiKey | None:
        """Return what is known of the key `secret`, None where it is not in the file."""
        self._read_if_changed()
        digest = _digest(secret)
        found = None
        for key in self._keys:  # all of them, whichever it is: the time taken tells nothing
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _read_if_changed(self) -> None:
        """Take what is in the file now; where that is broken, keep the keys that there were."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except KeysFileError as error:
            about = "API keys not read, so those from before stay"
            _log.error(about, extra=fields(error=str(error)))
        else:
            _log.warning("API keys read again", extra=fields(keys=len(self._keys)))


def read_keys(path: Path) -> list[ApiKey]:
    """Return the keys in a file, at least one. Raises `KeysFileError`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KeysFileError(f"{path}: {error}") from error
    tables = content.pop("key", None)
    if content or not tables or not isinstance(tables, list):
        raise KeysFileError(f"{path} is not one or more tables [[key]] and nothing else")
    keys = [_read_key(table, f"{path}, key {n}") for n, table in enumerate(tables, 1)]
    if len({key.digest for key in keys}) < len(keys):
        raise KeysFileError(f"{path} has a key twice")
    return keys


def new_key(name: str, scopes: list[str]) -> tuple[str, str]:
    """Return a new key, and its table for the file."""
    secret = f"bp_{secrets.token_urlsafe(32)}"
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    digest = _digest(secret).hex()
    return secret, f'[[key]]\nname = "{name}"\nsha256 = "{digest}"\nscopes = [{listed}]\n'


def _read_key(table: Any, where: str) -> ApiKey:
    if not isinstance(table, dict) or not {"name", "sha256", "scopes"} <= set(table) <= _FIELDS:
        raise KeysFileError(f"{where}: name, sha256 and scopes, or a field is not known")
    name, digest, scopes = table["name"], table["sha256"], table["scopes"]
    per_s, burst = table.get("rate_per_s"), table.get("rate_burst")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise KeysFileError(f"{where}: name is 1 to 64 letters, digits, dots, dashes")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise KeysFileError(f"{where}: sha256 is 64 hexadecimal digits in lower case")
    if not isinstance(scopes, list) or not scopes or not all(one in SCOPES for one in scopes):
        raise KeysFileError(f"{where}: scopes are some of {', '.join(SCOPES)}")
    if per_s is not None and not (type(per_s) in (int, float) and 0.001 <= per_s <= 1e6):
        raise KeysFileError(f"{where}: rate_per_s is a number from 0.001 to 1000000")
    if burst is not None and not (type(burst) is int and 1 <= burst <= 1_000_000):
        raise KeysFileError(f"{where}: rate_burst is a whole number from 1 to 1000000")
    return ApiKey(name, bytes.fromhex(digest), frozenset(scopes), per_s, burst)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when the file does; empty where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def main() -> int:
    """Make a key: its table goes to standard output, the key itself to standard error, once."""
    parser = argparse.ArgumentParser(prog="python -m web.api_keys", description=main.__doc__)
    parser.add_argument("name", help="whose key it is; names its rate and its log lines")
    parser.add_argument("--scopes", default="predict", help=f"some of {','.join(SCOPES)}")
    arguments = parser.parse_args()
    scopes = arguments.scopes.split(",")
    if not _NAME.fullmatch(arguments.name) or not set(scopes) <= set(SCOPES):
        parser.error(f"a name is letters, digits, dots, dashes; a scope one of {', '.join(SCOPES)}")
    secret, table = new_key(arguments.name, scopes)
    print(table)
    print(f"The key, which cannot be shown again: {secret}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What was predicted, and what people chose instead: one SQLite file for all web processes.

    predictions   request_id, at, model, version, image, items
    choices       request_id, place, at, chosen

`at` is in seconds since 1970, `image` the bytes that were posted, `items` JSON: per point
`{"point": [x, y], "<classifier>": [{"label": ..., "probability": ...}, ...]}`. `place` counts the
points of a request from 0, `chosen` is JSON: per classifier the label, or null: none fits.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "feedback.sqlite"

_DAY_S = 86_400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions (
    request_id TEXT PRIMARY KEY, at REAL NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL,
    items TEXT NOT NULL, chosen_at REAL, image BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_age ON predictions (chosen_at IS NOT NULL, at);
CREATE TABLE IF NOT EXISTS choices (
    request_id TEXT NOT NULL REFERENCES predictions ON DELETE CASCADE,
    place INTEGER NOT NULL, at REAL NOT NULL, chosen TEXT NOT NULL,
    PRIMARY KEY (request_id, place)
) WITHOUT ROWID;
"""

Chosen = Mapping[str, str | None]


@dataclass(frozen=True)
class Prediction:
    """A photo, and what was answered about it; see the columns above."""

    request_id: str
    model: str
    version: str
    image: bytes
    items: Sequence[Mapping[str, Any]]
    at: float = 0.0


@dataclass(frozen=True)
class Choice:
    """What was chosen for one point of a prediction."""

    prediction: Prediction
    place: int
    at: float
    chosen: Chosen

    @property
    def item(self) -> Mapping[str, Any]:
        """What was predicted at that point."""
        return self.prediction.items[self.place]


class Feedback:
    """The file, opened when it is first used. Each method may raise `sqlite3.Error`."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        max_days: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep up to `max_bytes` for up to `max_days`."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_days = max_days
        self._clock = clock
        self._opened: sqlite3.Connection | None = None

    def keep(self, predictions: Sequence[Prediction]) -> None:
        """Keep predictions, and let go of what is too old or too much.

        What nobody gave feedback on goes first, then the oldest.
        """
        now = self._clock()
        rows = [
            (each.request_id, now, each.model, each.version, json.dumps(each.items), each.image)
            for each in predictions
        ]
        with self._file() as file:
            file.execute("BEGIN IMMEDIATE")
            file.executemany(
                "INSERT OR IGNORE INTO predictions (request_id, at, model, version, items, image)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._delete_old(file)
            while self._bytes(file) > self._max_bytes:
                gone = file.execute(
                    "DELETE FROM predictions WHERE request_id IN (SELECT request_id FROM"
                    " predictions ORDER BY chosen_at IS NOT NULL, at LIMIT 8)"
                )
                if not gone.rowcount:
                    break

    def purge(self) -> None:
        """Let go of what is too old, of its last traces too: also where nothing new is kept."""
        with self._file() as file:
            file.execute("BEGIN IMMEDIATE")
            gone = self._delete_old(file)
        if gone:  # what was written lately is also in the journal
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def find(self, request_id: str) -> Prediction | None:
        """Return a prediction without its image, or None where it is not kept."""
        row = self._file().execute(
            "SELECT model, version, items, at FROM predictions WHERE request_id = ?", [request_id]
        )
        for model, version, items, at in row:
            return Prediction(request_id, model, version, b"", json.loads(items), at)
        return None

    def choose(self, request_id: str, place: int, chosen: Chosen) -> bool:
        """Keep a choice; return whether the prediction is there.

        For each classifier, it is in place of an earlier one.
        """
        now = self._clock()
        with self._file() as file:
            file.execute("BEGIN IMMEDIATE")
            found = file.execute(
                "UPDATE predictions SET chosen_at = ? WHERE request_id = ?", [now, request_id]
            )
            if found.rowcount:
                before = file.execute(
                    "SELECT chosen FROM choices WHERE request_id = ? AND place = ?",
                    [request_id, place],
                ).fetchone()
                merged = {**json.loads(before[0] if before else "{}"), **chosen}
                file.execute(
                    "INSERT OR REPLACE INTO choices VALUES (?, ?, ?, ?)",
                    [request_id, place, now, json.dumps(merged)],
                )
        return bool(found.rowcount)

    def counts(self) -> list[tuple[str, str, int]]:
        """Return how many points were predicted, by model and version."""
        return (
            self._file()
            .execute(
                "SELECT model, version, sum(json_array_length(items)) FROM predictions"
                " GROUP BY model, version ORDER BY model, version"
            )
            .fetchall()
        )

    def choices(self, images: bool = False) -> Iterator[Choice]:
        """Return every choice, oldest first; with the images where they are asked for."""
        image = "image" if images else "x''"
        rows = self._file().execute(
            f"SELECT request_id, model, version, {image}, items, p.at, place, c.at, chosen"
            " FROM choices c JOIN predictions p USING (request_id) ORDER BY c.at"
        )
        for request_id, model, version, data, items, at, place, chosen_at, chosen in rows:
            prediction = Prediction(request_id, model, version, data, json.loads(items), at)
            yield Choice(prediction, place, chosen_at, json.loads(chosen))

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _file(self) -> sqlite3.Connection:
        if self._opened is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # One thread at a time uses it, not always the same one.
            file = sqlite3.connect(self._folder / FILE, timeout=5, check_same_thread=False)
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = NORMAL")
            file.execute("PRAGMA foreign_keys = ON")
            file.execute("PRAGMA secure_delete = ON")  # photos of users: gone is gone
            file.execute("PRAGMA journal_size_limit = 16777216")
            file.executescript(_SCHEMA)
            self._opened = file
        return self._opened

    def _delete_old(self, file: sqlite3.Connection) -> int:
        # By the index, whose first column is one of two: this comes with every write.
        gone = file.execute(
            "DELETE FROM predictions WHERE (chosen_at IS NOT NULL) IN (0, 1) AND at < ?",
            [self._clock() - self._max_days * _DAY_S],
        )
        return gone.rowcount

    @staticmethod
    def _bytes(file: sqlite3.Connection) -> int:
        """Return how large what is kept is; pages that became free are used again."""
        pages, free, size = (
            file.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

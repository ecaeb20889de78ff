"""One model at one address, and what it says of labelled pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

TIMEOUT_S = 60


@dataclass(frozen=True)
class Picture:
    """A labelled image."""

    path: Path
    label: str


@dataclass(frozen=True)
class Verdict:
    """What the service said of a picture."""

    picture: Picture
    labels: list[str]  # likeliest first
    probability: float  # of the first
    took_ms: float


class Service:
    """One model at one address."""

    def __init__(self, url: str, model: str, key: str = "") -> None:
        self.url = url
        self.model = model
        self.session = requests.Session()
        if key:
            self.session.headers["Authorization"] = f"Bearer {key}"
        models = self.get("/models")["models"]
        (about,) = [each for each in models if each["name"] == model] or [None]
        if about is None:
            raise ValueError(f"there is no model {model!r} at {url}")
        self.classifier: str = about["classifiers"][0]["name"]
        self.labels: list[str] = about["classifiers"][0]["labels"]
        inputs = self.get(f"/v2/models/{model}")["inputs"]
        self.tensors = [each for each in inputs if each["name"] != "image"]

    def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        response = self.session.get(self.url + path, timeout=TIMEOUT_S)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, **what: Any) -> requests.Response:
        """Post, and wait where the service is busy, but not for ever."""
        until = time.monotonic() + TIMEOUT_S
        while True:
            response = self.session.post(self.url + path, timeout=TIMEOUT_S, **what)
            pause_s = int(response.headers.get("Retry-After", 0))
            if response.status_code not in (429, 503) or time.monotonic() + pause_s > until:
                response.raise_for_status()
                return response
            time.sleep(max(0.1, pause_s))

    def ask(self, picture: Picture) -> Verdict:
        """Send one encoded image."""
        data = picture.path.read_bytes()
        started = time.perf_counter()
        answer = self.post(f"/predict/{self.model}", data=data).json()
        took_ms = (time.perf_counter() - started) * 1000
        likely = answer[self.classifier]
        labels = [entry["label"] for entry in likely]
        return Verdict(picture, labels, likely[0]["probability"], took_ms)

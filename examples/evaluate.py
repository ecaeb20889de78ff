"""How good and how fast a model is behind its address, seen from outside.

    python examples/evaluate.py PICTURES --model digits
    python examples/evaluate.py PICTURES --model characters --fold-case --url http://host:9000

PICTURES is a folder with a folder of images for each label, or a CSV file with the columns `file`
and `label`. Prints the accuracy and the times of single images, then how many images a second one
client gets through: one by one and in batches of 128, or as many as fit into a body, as JSON and as
binary tensors. Writes `evaluation.png`, right and wrong answers, and `throughput.png`.

Needs the packages `requests`, `numpy`, `pillow` and `matplotlib`.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import requests
from matplotlib.figure import Figure
from PIL import Image

matplotlib.use("Agg")

TIMEOUT_S = 60
BATCH = 128
LARGEST_BODY = 16 * 1024 * 1024  # bytes that the service takes, unless it is set otherwise
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}

Pixels = npt.NDArray[np.uint8]


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


def read_pictures(path: Path, labels: Sequence[str]) -> list[Picture]:
    """Return the labelled images of a folder of folders, or of a CSV file."""
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            return [
                Picture(path.parent / row["file"], row["label"]) for row in csv.DictReader(file)
            ]
    return [
        Picture(image, _label(image.parent.name, labels))
        for image in sorted(path.glob("*/*"))
        if image.suffix.lower() in SUFFIXES
    ]


def _label(folder: str, labels: Sequence[str]) -> str:
    """Return the label that a folder's name is, or that stands behind its last underscore."""
    return folder if folder in labels else folder.rpartition("_")[2]


def same(one: str, other: str, fold_case: bool) -> bool:
    """Return whether two labels count as one."""
    return one.lower() == other.lower() if fold_case else one == other


def print_accuracy(verdicts: Sequence[Verdict], fold_case: bool) -> None:
    """Print how many answers are right, and how long they took."""
    tops = {
        count: sum(
            any(same(each.picture.label, label, fold_case) for label in each.labels[:count])
            for each in verdicts
        )
        / len(verdicts)
        for count in (1, 5)
    }
    took = np.array([each.took_ms for each in verdicts])
    print(f"{len(verdicts)} images: top-1 {tops[1]:.3f}, top-5 {tops[5]:.3f}")
    print(
        f"one after the other: mean {took.mean():.1f} ms, "
        f"p50 {np.percentile(took, 50):.1f} ms, p95 {np.percentile(took, 95):.1f} ms"
    )


def draw_verdicts(verdicts: Sequence[Verdict], fold_case: bool, path: Path) -> None:
    """Draw up to ten right and ten wrong answers."""
    chance = random.Random(0)
    rows: list[list[Verdict]] = [[], []]
    for each in chance.sample(list(verdicts), len(verdicts)):
        wrong = not same(each.picture.label, each.labels[0], fold_case)
        if len(rows[wrong]) < 10:
            rows[wrong].append(each)
    figure = Figure(figsize=(15, 4), layout="constrained")
    figure.suptitle("label: answer, how likely; the upper row is right, the lower wrong")
    for row, color in enumerate(("green", "crimson")):
        for column in range(10):
            axes = figure.add_subplot(2, 10, 10 * row + column + 1)
            axes.axis("off")
            if column < len(rows[row]):
                each = rows[row][column]
                with Image.open(each.picture.path) as image:
                    axes.imshow(np.asarray(image.convert("RGB").resize((112, 112))))
                text = f"{each.picture.label}: {each.labels[0]} {each.probability:.0%}"
                axes.set_title(text, color=color, fontsize=8)
    figure.savefig(path, dpi=110)


# --- one by one against batches


def to_tensors(service: Service, pictures: Sequence[Picture]) -> list[Pixels]:
    """Return a batch as raw pixels for each input: what the model's own steps would do is left out.

    The figures are about the way there and back, and it takes any pixels.
    """
    shapes = [entry["shape"][1:] for entry in service.tensors]
    largest = sum(math.prod(shape) for shape in shapes) * len("[255], ")  # bytes of JSON
    count = max(1, min(BATCH, (LARGEST_BODY - 1000) // largest))
    batch = [pictures[place % len(pictures)] for place in range(count)]
    tensors = []
    for height, width, channels in shapes:
        mode = "L" if channels == 1 else "RGB"
        items = []
        for picture in batch:
            with Image.open(picture.path) as image:
                items.append(np.asarray(image.convert(mode).resize((width, height))))
        tensors.append(np.stack(items).reshape(count, height, width, channels))
    return tensors


def by_json(service: Service, tensors: Sequence[Pixels]) -> Pixels:
    """Ask by TensorFlow Serving's protocol; return the first output."""
    names = [entry["name"] for entry in service.tensors]
    inputs = {name: tensor.tolist() for name, tensor in zip(names, tensors, strict=True)}
    outputs = service.post(f"/v1/models/{service.model}:predict", json={"inputs": inputs}).json()
    values = outputs["outputs"]
    return np.array(values[names[0]] if isinstance(values, dict) else values)


def by_binary(service: Service, tensors: Sequence[Pixels]) -> Pixels:
    """Ask by the Open Inference Protocol, all outputs, with binary tensors both ways; as above."""
    names = [entry["name"] for entry in service.tensors]
    inputs = [
        {
            "name": name,
            "shape": tensor.shape,
            "datatype": "UINT8",
            "parameters": {"binary_data_size": tensor.nbytes},
        }
        for name, tensor in zip(names, tensors, strict=True)
    ]
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in names]
    header = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    response = service.post(
        f"/v2/models/{service.model}/infer",
        data=b"".join([header, *(tensor.tobytes() for tensor in tensors)]),
        headers={"Inference-Header-Content-Length": str(len(header))},
    )
    length = int(response.headers["Inference-Header-Content-Length"])
    first = json.loads(response.content[:length])["outputs"][0]
    end = length + first["parameters"]["binary_data_size"]
    return np.frombuffer(response.content[length:end], "<f4").reshape(first["shape"])


def per_second(call: Callable[[], Any], images: int, seconds: float) -> float:
    """Return how many images a second one client gets through."""
    call()
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        call()
        calls += 1
    return calls * images / (time.perf_counter() - started)


def compare(service: Service, pictures: Sequence[Picture], seconds: float) -> dict[str, float]:
    """Return images a second by each way; fail unless all ways give the same answers."""
    batch = to_tensors(service, pictures)
    single = [tensor[:1] for tensor in batch]
    count = len(batch[0])
    answers = [by_binary(service, batch), by_json(service, batch)]
    if np.abs(answers[0] - answers[1]).max() > 1e-3:
        raise ValueError("JSON and binary tensors have different answers")
    for place in range(0, count, 16):
        alone = by_binary(service, [tensor[place : place + 1] for tensor in batch])
        if np.abs(answers[0][place] - alone[0]).max() > 1e-3:
            raise ValueError("a batch has other answers than its images have alone")
    ways: list[tuple[str, Callable[[], Any], int]] = [
        ("single: encoded image", lambda: service.ask(pictures[0]), 1),
        ("single: JSON tensor", lambda: by_json(service, single), 1),
        ("single: binary tensor", lambda: by_binary(service, single), 1),
        (f"{count}: JSON tensor", lambda: by_json(service, batch), count),
        (f"{count}: binary tensor", lambda: by_binary(service, batch), count),
    ]
    return {name: per_second(call, images, seconds) for name, call, images in ways}


def draw_rates(rates: dict[str, float], path: Path) -> None:
    """Draw images a second by each way."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(rates), list(rates.values()))
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="images a second, one client", xlim=(0, 1.12 * max(rates.values())))
    figure.savefig(path, dpi=110)


def main() -> int:
    """Evaluate; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default="digits", help="default: %(default)s")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument("--key", default="", help="an API key, where the service asks for one")
    parser.add_argument("--most", type=int, default=1000, help="images to ask (default: 1000)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each way of sending")
    parser.add_argument("--fold-case", action="store_true", help="let a and A count as the same")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the two pictures")
    arguments = parser.parse_args()
    try:
        service = Service(arguments.url.rstrip("/"), arguments.model, arguments.key)
        pictures = read_pictures(arguments.pictures, service.labels)
        if not pictures:
            raise ValueError(f"no images in {arguments.pictures}")
        random.Random(1).shuffle(pictures)
        verdicts = [service.ask(picture) for picture in pictures[: arguments.most]]
        print_accuracy(verdicts, arguments.fold_case)
        draw_verdicts(verdicts, arguments.fold_case, arguments.out / "evaluation.png")
        rates = compare(service, pictures, arguments.seconds)
    except (requests.RequestException, OSError, ValueError, KeyError) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 1
    for name, rate in rates.items():
        print(f"{name:24} {rate:8.0f} images/s")
    draw_rates(rates, arguments.out / "throughput.png")
    print(f"{arguments.out / 'evaluation.png'}, {arguments.out / 'throughput.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How many images a second one client gets through: one by one, and in batches."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from evaluated import Picture, Service
from matplotlib.figure import Figure
from PIL import Image

BATCH = 128
LARGEST_BODY = 16 * 1024 * 1024  # bytes that the service takes, unless it is set otherwise

Pixels = npt.NDArray[np.uint8]


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

"""Ask the service from Python: one photo, several points of it, and an answer fetched later.

    python examples/predict.py                        # the cat and the coffee beside this file
    python examples/predict.py my.jpg --point 120,80 --url http://host:9000

Needs the package `requests`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import requests

PHOTOS = Path(__file__).parent / "photos"
TIMEOUT_S = 60
TRIES = 5


class RefusedError(Exception):
    """The service answered that it cannot do this; the message is its own."""


def post(
    url: str, photo: Path, fields: dict[str, str], headers: dict[str, str] | None = None
) -> requests.Response:
    """Post a photo with form fields; where the service is full, try again when it says so.

    Raises `RefusedError`.
    """
    for _ in range(TRIES):
        response = requests.post(
            f"{url}/predict",
            files={"image": (photo.name, photo.read_bytes())},
            data=fields,
            headers=headers,
            timeout=TIMEOUT_S,
        )
        if response.status_code != 503:
            break
        time.sleep(int(response.headers["Retry-After"]))
    if not response.ok:
        problem = response.json()
        raise RefusedError(f"{problem['status']} {problem['title']}: {problem['detail']}")
    return response


def one_point(url: str, photo: Path, x: int, y: int) -> dict[str, Any]:
    """Return the themes and the colours at a point, in pixels from the top left corner."""
    answer: dict[str, Any] = post(url, photo, {"x": str(x), "y": str(y)}).json()
    return answer


def several_points(url: str, photo: Path, points: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return the answers for several points of one photo, which is sent only once."""
    response = post(url, photo, {"points": json.dumps(points)})
    answers: list[dict[str, Any]] = response.json()["points"]
    return answers


def later(url: str, photo: Path) -> dict[str, Any]:
    """Ask about the centre without waiting, then fetch the result until it is there."""
    response = post(url, photo, {}, {"Prefer": "respond-async"})
    where = url + response.headers["Location"]
    while response.status_code == 202:
        time.sleep(0.1)
        response = requests.get(where, timeout=TIMEOUT_S)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def show(what: str, answer: dict[str, Any]) -> None:
    """Print the likeliest labels of an answer."""
    print(f"{what} ({answer['point']['x']}, {answer['point']['y']})")
    for name in ("themes", "colors"):
        labels = [f"{item['label']} {item['probability']:.0%}" for item in answer[name]]
        print(f"  {name}: {', '.join(labels)}")


def main() -> int:
    """Run the three; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", nargs="?", type=Path, default=PHOTOS / "cat.jpg")
    parser.add_argument("--point", default="220,120", help="x,y in pixels (default: %(default)s)")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="default: %(default)s")
    arguments = parser.parse_args()
    url, photo = arguments.url.rstrip("/"), arguments.photo
    x, y = (int(number) for number in arguments.point.split(","))
    try:
        answer = one_point(url, photo, x, y)
        show(photo.name, answer)
        print(f"  {answer['timing_ms']['total']:.0f} ms, in a batch of {answer['batch_size']}")
        for answer in several_points(url, photo, [(x, y), (0, 0)]):
            show(f"{photo.name}, one of two points", answer)
        show("coffee.jpg, fetched later", later(url, PHOTOS / "coffee.jpg"))
    except requests.ConnectionError:
        print(f"predict.py: no service at {url} (start one: make run)", file=sys.stderr)
        return 1
    except (OSError, RefusedError) as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The first layer of all: a prediction from the command line, without web tier or Redis.

python -m worker.predict photo.jpg --point 120,80
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from shared.images import ImageError, Point, PointOutsideError
from shared.manifest import ManifestError, read_model
from shared.mirror import sync_once
from shared.preparation import prepare
from shared.settings import SettingError, Settings
from worker.engines import TOP, engines_for
from worker.results import to_items
from worker.trial import EngineError, load

_REFUSALS = (SettingError, ManifestError, EngineError, OSError, ImageError, PointOutsideError)


def main() -> int:
    """Print the answer for one photo as JSON; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m worker.predict", description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--point", type=_point, help="x,y in pixels; left out, the centre")
    parser.add_argument("--model", help="left out, the one that MODEL names")
    parser.add_argument("--top-k", type=int, default=TOP, choices=range(1, 1001), metavar="K")
    arguments = parser.parse_args()
    points = [arguments.point] if arguments.point else []
    try:
        settings = Settings.from_environment()
        sync_once(settings)
        model = read_model(settings.models_folder / (arguments.model or settings.model))
        data = arguments.photo.read_bytes()
        (point,), tensors = prepare(model, data, points, settings.max_pixels)
        # One prediction is no time for trials: `auto` takes the reference where it is installed.
        name = engines_for(model)[0] if settings.engine == "auto" else settings.engine
        engine = load(name, settings, model)
    except _REFUSALS as error:
        print(f"worker.predict: {error}", file=sys.stderr)
        return 1
    answers = engine.run(tensors, arguments.top_k)
    (item,) = to_items(model.classifiers, answers)
    answer = {"model": model.name, "version": model.version, **item, "point": point._asdict()}
    print(json.dumps(answer, indent=2))
    return 0


def _point(text: str) -> Point:
    x, y = text.split(",")
    return Point(float(x), float(y))


if __name__ == "__main__":
    sys.exit(main())

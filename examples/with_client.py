"""Ask by the Python client of this repository, which waits and tries again where that helps.

    python -m examples.with_client                     # the cat and the coffee beside this file
    python -m examples.with_client my.jpg --url http://host:9000

Needs the package `urllib3`, and the folder `client/` where Python finds it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from client import Client, Item, RefusedError, ServiceError

PHOTOS = Path(__file__).parent / "photos"


def show(what: str, item: Item) -> None:
    """Print the likeliest labels at a point."""
    print(f"{what} {item.point}")
    for name, labels in item.labels.items():
        print(f"  {name}: {', '.join(f'{each.label} {each.probability:.0%}' for each in labels)}")


def main() -> int:
    """Ask about photos; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument("--key", default="", help="an API key, where one is asked for")
    arguments = parser.parse_args()
    photos = arguments.photos or [PHOTOS / "cat.jpg", PHOTOS / "coffee.jpg"]
    try:
        with Client(arguments.url, arguments.key, timeout_s=20) as service:
            for photo in photos:
                for item in service.predict(photo, points=[(220, 120), (20, 20)]).items:
                    show(photo.name, item)
            # A page that shows no suggestions is better than one that fails.
            answer = service.predict(photos[0], timeout_s=0.5, default=None)
            print("no suggestions" if answer is None else f"a suggestion: {answer['themes'][0]}")
    except RefusedError as error:
        print(f"with_client: the service refuses this: {error}", file=sys.stderr)
        return 1
    except (OSError, ServiceError) as error:
        print(f"with_client: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Many users at once: the Locust file of `make load`.

Each user posts a sample photo with a random point, waits for the answer, and posts again. At the
end a table says how many requests per second that made, how long they took, and in what batches
the workers ran them.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

_PHOTOS = Path(__file__).parent.parent / "examples" / "photos"
_SIZES = {"cat.jpg": (451, 300), "coffee.jpg": (600, 400)}
_BOUNDARY = "batchpoint-load"
_HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
_PART = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="


class Tally:
    """What one run has seen."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.times_ms: list[float] = []  # of answers with status 200
        self.batches: Counter[int] = Counter()  # batch size -> answers that came in one
        self.errors: Counter[str] = Counter()

    def table(self, users: int) -> str:
        """Return the table that is printed at the end."""
        seconds = time.monotonic() - self.started
        answered, failed = len(self.times_ms), sum(self.errors.values())
        lines = [
            "",
            f"users                {users:>8}",
            f"seconds              {seconds:>8.1f}",
            f"requests per second  {(answered + failed) / seconds:>8.1f}",
            f"answers per second   {answered / seconds:>8.1f}   with status 200",
            *(f"p{part:<20}{_percentile(self.times_ms, part):>8.0f} ms" for part in (50, 95, 99)),
            f"errors               {failed:>8}   of {answered + failed} requests",
            *(f"  {count:>6} x {what}" for what, count in self.errors.most_common()),
        ]
        if answered:
            # A batch of 8 is seen by 8 requests, so each of them stands for an eighth of it.
            batches = sum(count / size for size, count in self.batches.items())
            lines.append(f"mean batch size      {answered / batches:>8.2f}")
            lines.append("answers by the size of their batch")
            for size, count in sorted(self.batches.items()):
                share = count / answered
                lines.append(f"  {size:>4} {count:>7} {share:>5.0%} {'#' * round(share * 40)}")
        lines += [
            "",
            "The times are of answers with status 200. Every user waits for an answer before",
            "it asks again (a closed loop): a slow service is asked less often, and the wait",
            "of those who would have come meanwhile is in no figure above.",
        ]
        return "\n".join(lines)


tally = Tally()


def _percentile(values: list[float], part: int) -> float:
    """Return the smallest value that `part` percent of them do not exceed; NaN of none."""
    if not values:
        return float("nan")
    return sorted(values)[max(0, -(-len(values) * part // 100) - 1)]


def _form(photo: str, x: int, y: int) -> bytes:
    head = f'{_PART}"image"; filename="{photo}"\r\nContent-Type: image/jpeg\r\n\r\n'
    point = "".join(f'\r\n{_PART}"{name}"\r\n\r\n{at}' for name, at in (("x", x), ("y", y)))
    return head.encode() + _BYTES[photo] + f"{point}\r\n--{_BOUNDARY}--\r\n".encode()


_BYTES = {name: (_PHOTOS / name).read_bytes() for name in _SIZES}


class Visitor(FastHttpUser):
    """A user without a pause between two requests."""

    wait_time = constant(0)
    connection_timeout = 5.0
    network_timeout = 40.0  # over the longest deadline of the service
    max_redirects = 0

    @task
    def predict(self) -> None:
        """Post a photo with a random point and check that the answer is about that point."""
        photo, (width, height) = random.choice(list(_SIZES.items()))
        x, y = random.randrange(width), random.randrange(height)
        began = time.perf_counter()
        with self.client.post(
            "/predict",
            data=_form(photo, x, y),  # type: ignore[arg-type]  # it takes bytes, too
            headers=_HEADERS,
            catch_response=True,
        ) as response:
            took_ms = (time.perf_counter() - began) * 1000
            wrong = _what_is_wrong(response, x, y)
            if not wrong:
                tally.times_ms.append(took_ms)
                tally.batches[response.json()["batch_size"]] += 1
                return
            tally.errors[wrong] += 1
            response.failure(wrong)
            pause_s = _pause_s(response)
        gevent.sleep(pause_s)


def _what_is_wrong(response: Any, x: int, y: int) -> str:
    if response.status_code == 0:
        return f"no answer: {type(response.error).__name__}"
    if response.status_code != 200:
        try:
            return f"{response.status_code} {json.loads(response.text)['title']}"
        except (ValueError, KeyError):
            return str(response.status_code)
    return "" if response.json()["point"] == {"x": x, "y": y} else "an answer to another request"


def _pause_s(response: Any) -> float:
    """Return how long a user stays away: as it was told, and a second where nobody answers."""
    if response.status_code == 503:
        return float(response.headers.get("Retry-After", 1))
    return 1.0 if response.status_code == 0 else 0.0


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # Locust's own
def ask_for_key(parser: LocustArgumentParser) -> None:
    """Take the key of a service that asks for one, from the environment."""
    parser.add_argument("--api-key", env_var="API_KEY", default="", include_in_web_ui=False)


@events.init.add_listener  # type: ignore[untyped-decorator]  # Locust's own
def check_service(environment: Environment, **_: Any) -> None:
    """End at once, with one line, where the service is not there or not ready."""
    if key := getattr(environment.parsed_options, "api_key", ""):
        Visitor.default_headers = {"X-API-Key": key}
    logging.getLogger("locust.stats_logger").disabled = True  # our table stands for Locust's
    # Without a proxy, as the users go.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{environment.host}/readyz", timeout=5):
            return
    except urllib.error.HTTPError as error:
        why = f"is not ready (status {error.code} of /readyz)"
    except (OSError, ValueError) as error:
        why = f"cannot be reached: {getattr(error, 'reason', error)}"
    print(f"load: the service at {environment.host} {why}", file=sys.stderr)
    sys.exit(1)


@events.test_start.add_listener  # type: ignore[untyped-decorator]  # Locust's own
def begin(**_: Any) -> None:
    """Count anew: Locust's page can start several runs."""
    global tally
    tally = Tally()


@events.test_stop.add_listener  # type: ignore[untyped-decorator]  # Locust's own
def end(environment: Environment, **_: Any) -> None:
    """Print the table."""
    users = environment.runner.target_user_count if environment.runner else 0
    print(tally.table(users), flush=True)

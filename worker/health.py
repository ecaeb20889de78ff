"""Whether workers of this host are alive and warm, as the queue sees it: a container's check.

    python -m worker.health [model ...]

Each model named, else `MODEL`, must have one. A container has a host name of its own and one worker
for a model, so this is about that worker. On a machine with several it says whether any is alive.
"""

from __future__ import annotations

import socket
import sys

import redis
from redis.exceptions import RedisError

from shared.manifest import ManifestError, queue_name, read_versions
from shared.queue import Queue
from shared.settings import SettingError, Settings
from shared.store import connect


def main() -> int:
    """Return 0 where there are such workers; else say which is missing and return 1."""
    host = socket.gethostname()
    try:
        settings = Settings.from_environment()
        client = connect(settings.redis_url)
        for model in sys.argv[1:] or [settings.model]:
            if host not in _hosts(client, model, settings):
                print(f"worker.health: no live, warmed-up worker of {host} serves {model!r}")
                return 1
    except (SettingError, ManifestError, RedisError, OSError) as error:
        print(f"worker.health: {error}")
        return 1
    return 0


def _hosts(client: redis.Redis, model: str, settings: Settings) -> set[str]:
    """Return the hosts of a model's workers."""
    versions = read_versions(settings.models_folder / model).names
    return {
        str(worker.get("host"))
        for version in versions  # one may be on its way in place of another
        for worker in Queue(client, queue_name(model, version), settings).census().workers
    }


if __name__ == "__main__":
    sys.exit(main())

"""Whether a worker of this host is alive and warm, as the queue sees it: a container's check.

    python -m worker.health

A container has a host name of its own and one worker, so this is about that worker. On a machine
with several workers it says whether any of them is alive.
"""

from __future__ import annotations

import socket
import sys

from redis.exceptions import RedisError

from shared.manifest import ManifestError, queue_name, read_versions
from shared.queue import Queue
from shared.settings import SettingError, Settings
from shared.store import connect


def main() -> int:
    """Return 0 where there is such a worker; else say why not and return 1."""
    try:
        settings = Settings.from_environment()
        folder, client = settings.models_folder / settings.model, connect(settings.redis_url)
        workers = [
            worker
            for version in read_versions(folder).names  # one may be on its way in place of another
            for worker in Queue(client, queue_name(folder.name, version), settings).census().workers
        ]
    except (SettingError, ManifestError, RedisError) as error:
        print(f"worker.health: {error}")
        return 1
    host = socket.gethostname()
    if not any(worker.get("host") == host for worker in workers):
        print(f"worker.health: no live, warmed-up worker of {host} serves {settings.model!r}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

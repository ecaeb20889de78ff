"""Start the web tier: `--processes N` web processes behind one port.

python run_web.py
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile

from flask import Flask

from shared.logs import start_logging
from shared.manifest import ManifestError, Model, read_models
from shared.settings import SettingError, Settings
from web.server import Server


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment()
        models = read_models(settings.models_folder)
        if settings.model not in models:
            raise SettingError(f"MODEL={settings.model!r} is not in {settings.models_folder}")
    except (SettingError, ManifestError) as error:
        print(f"run_web.py: {error}", file=sys.stderr)
        return 2
    start_logging("web", settings.log_level)
    processes = arguments.processes or settings.process_counts()[0]
    # The metrics of all web processes meet in files here; read when they are first imported.
    folder, parent = tempfile.mkdtemp(prefix="batchpoint-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        Server(settings, processes, lambda: _make_app(settings, models)).run()
    finally:
        if os.getpid() == parent:  # a web process is a fork, and comes by here when it ends
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _make_app(settings: Settings, models: dict[str, Model]) -> Flask:
    """Put one web process together."""
    # Imported here, after gevent has patched the process and the metrics know their folder.
    from shared.queue import Queue
    from shared.store import connect
    from web.app import create_app
    from web.catalog import Catalog, Served
    from web.decoding import Decoder
    from web.dispatch import Dispatcher
    from web.gate import Gate
    from web.prediction import Predictor

    receive_s = 1.0
    looking, sending = connect(settings.redis_url), connect(settings.redis_url)
    receiving = connect(settings.redis_url, receive_s + 1)

    def serve(model: Model) -> Served:
        dispatcher = Dispatcher(
            sending=Queue(sending, model.queue, settings),
            receiving=Queue(receiving, model.queue, settings),
            receive_s=receive_s,
            heartbeat_s=settings.heartbeat_ms / 1000,
        )
        return Served(model, Queue(looking, model.queue, settings), dispatcher, Gate())

    catalog = Catalog(models.values(), settings.model, serve)
    decoder = Decoder(settings.decode_threads, settings.max_pixels)
    return create_app(settings, catalog, Predictor(decoder))


if __name__ == "__main__":
    sys.exit(main())

"""Start the web tier: `--processes N` web processes behind one port.

python run_web.py
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from flask import Flask

from shared.folder import ModelsFolder
from shared.logs import fields, start_logging
from shared.manifest import ManifestError, Model
from shared.mirror import mirror, start_mirror
from shared.settings import MIB, SettingError, Settings
from web.api_keys import ApiKeys, KeysFileError, read_keys
from web.server import Server


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=0, metavar="N")
    parser.add_argument("--mirror", default="", help=argparse.SUPPRESS)  # see below
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment()
        if settings.api_keys_file:
            read_keys(Path(settings.api_keys_file))
        start_logging("web", settings.log_level)
        if arguments.mirror:
            mirror(settings, arguments.mirror)
            return 0
        follower = start_mirror(settings, [sys.executable, __file__, "--mirror"])
        shelves = ModelsFolder(settings.models_folder).scan()
        if settings.model not in shelves:
            raise SettingError(f"MODEL={settings.model!r} is not in {settings.models_folder}")
        versions = shelves[settings.model].versions
        if not any(version.model for version in versions):
            raise ManifestError("; ".join(version.error for version in versions))
    except (SettingError, ManifestError, KeysFileError) as error:
        print(f"run_web.py: {error}", file=sys.stderr)
        return 2
    if settings.is_open_to_all():
        about = "no API keys: whoever reaches this address may use the service"
        logging.getLogger(__name__).warning(about, extra=fields(host=settings.host))
    processes = arguments.processes or settings.process_counts()[0]
    # The metrics of all web processes meet in files here; read when they are first imported.
    folder, parent = tempfile.mkdtemp(prefix="batchpoint-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        Server(settings, processes, lambda: _make_app(settings), follower).run()
    finally:
        if os.getpid() == parent:  # a web process is a fork, and comes by here when it ends
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _make_app(settings: Settings) -> Flask:
    """Put one web process together."""
    # Imported here, after gevent has patched the process and the metrics know their folder.
    import gevent

    from shared.feedback import Feedback
    from shared.queue import Queue
    from shared.rates import Rates
    from shared.store import connect
    from web.app import create_app
    from web.catalog import Catalog, Served
    from web.decoding import Decoder
    from web.dispatch import Dispatcher
    from web.gate import Gate
    from web.prediction import Predictor
    from web.storage import Storage

    receive_s = 1.0
    looking, sending = connect(settings.redis_url), connect(settings.redis_url)
    decoder = Decoder(settings.decode_threads, settings.max_pixels)

    def serve(model: Model) -> Served:
        dispatcher = Dispatcher(
            sending=Queue(sending, model.queue, settings),
            # A connection that waits is one for each queue, and there may be many of these.
            receiving=Queue(connect(settings.redis_url, receive_s + 1), model.queue, settings),
            receive_s=receive_s,
            heartbeat_s=settings.heartbeat_ms / 1000,
            more_to_come=partial(decoder.is_behind, model),
        )
        return Served(model, Queue(looking, model.queue, settings), dispatcher, Gate())

    kept_s = (settings.max_deadline_ms + settings.result_ttl_ms) / 1000
    catalog = Catalog(ModelsFolder(settings.models_folder), settings.model, serve, kept_s)
    gevent.spawn(catalog.watch)
    keys = ApiKeys(Path(settings.api_keys_file)) if settings.api_keys_file else None
    # A request waits for it, so it gives up soon.
    rates = Rates(connect(settings.redis_url, 0.25)) if keys or settings.rate_per_s else None
    storage = None
    if settings.feedback_folder:
        size = settings.feedback_max_mib * MIB
        storage = Storage(Feedback(Path(settings.feedback_folder), size, settings.feedback_days))
        gevent.spawn(storage.run)
    return create_app(settings, catalog, Predictor(decoder, storage), keys, rates, storage)


if __name__ == "__main__":
    sys.exit(main())

"""The sweep: which shapes of the service are loaded."""

from __future__ import annotations

from bench.compare.candidates import CORES
from bench.compare.environment import VAR
from bench.compare.photos import KINDS, SMALL, make
from bench.compare.tagger import ROOT
from bench.scaling.figures import PRODUCT, TAGS, Row
from bench.scaling.loads import Loads
from bench.scaling.service import COPIES, MANY, ONE, Service, make_models, names

CLIENTS = 64  # enough for every worker of the sweep to have two images waiting
_WEB = (1, 2, 3, 4)
_WORKERS = (1, 2, 4, 8, 16, 32)
_SOME = 4  # workers, where something else is varied
_FEW = 2  # web processes, where something else is varied
_ENGINES = ("litert", "session")
_PAIRS = (1, 2, 3)  # of a feeder and a drainer
_FED = (1, 2, 4)  # workers without a web tier
_FEEDERS = 2
_MODELS = (("tags", TAGS), ("product", PRODUCT))
_AT_ONCE = 6  # clients with large photos: enough to keep two cores decoding


class Sweep:
    """Measures shape after shape."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long each load lasts."""
        self.curves: dict[str, dict[str, float]] = {}  # engine -> batch size -> ms
        self._loads = Loads(seconds)

    @property
    def rows(self) -> list[Row]:
        """What was seen so far."""
        return self._loads.rows

    def run(self) -> None:
        """Do all parts."""
        make_models()
        for photos in KINDS:
            make(photos, VAR / "photos" / photos.name)
        with Service() as service:
            self._loads.say("the queue alone")
            self._both_ends(service, "queue")
            self._loads.say("workers without a web tier")
            for model, kind in _MODELS:
                for workers in _FED:
                    service.set_workers({model: workers})
                    self._loads.feeders(service, model, kind, workers, _FEEDERS)
            self._loads.say("web processes")
            for model, kind in _MODELS:
                self._web(service, model, kind)
            self._loads.say("several models")
            for model, kind in _MODELS:
                self._models(service, model, kind)
            self._loads.say("workers")
            for model, kind in _MODELS:
                self._workers(service, model, kind)
        with Service(tcp=True) as service:
            self._loads.say("the queue alone, over TCP")
            self._both_ends(service, "tcp")
        with Service(models=ROOT / "models") as service:
            self._loads.say("the real engines")
            self._real(service)
        self._loads.say("measured")

    def _both_ends(self, service: Service, sweep: str) -> None:
        for model, kind in _MODELS:
            for pairs in _PAIRS:
                self._loads.ends(service, sweep, model, kind, pairs)

    def _web(self, service: Service, model: str, kind: str) -> None:
        service.set_workers({model: _SOME})
        for web in _WEB:
            service.set_web(web)
            shape = {"web": web, "workers": _SOME, "models": 1}
            self._loads.users(service, "web", kind, "waiting", [model], shape, CLIENTS)
            if model == "tags" and web in _WEB[:2]:
                for photo in KINDS:
                    if photo is not SMALL:
                        name = f"{model} {photo.name}"
                        self._loads.users(
                            service, "photos", name, "waiting", [model], shape, _AT_ONCE
                        )
        service.set_web(1)
        shape = {"web": 1, "workers": _SOME, "models": 1}
        for clients in (1, 4, 16):
            self._loads.users(service, "clients", kind, "waiting", [model], shape, clients)

    def _workers(self, service: Service, model: str, kind: str) -> None:
        service.set_web(_FEW, ONE)
        for workers in _WORKERS:
            service.set_workers({model: workers})
            shape = {"web": _FEW, "workers": workers, "models": 1}
            self._loads.users(service, "workers", kind, "waiting", [model], shape, CLIENTS)
        self._loads.nobody(service, kind, shape)

    def _models(self, service: Service, model: str, kind: str) -> None:
        service.set_web(_FEW, MANY)
        for count in (1, 2, COPIES):
            models = names(model, count)
            service.set_workers({name: _SOME // count for name in models})
            shape = {"web": _FEW, "workers": _SOME, "models": count}
            self._loads.users(service, "models", kind, "waiting", models, shape, CLIENTS)

    def _real(self, service: Service) -> None:
        """The service as `make run` starts it, with each engine."""
        web, workers = max(1, CORES // 2), CORES
        for engine in _ENGINES:
            service.set_web(0)
            service.set_workers({"tags": 0})
            for count in (1, workers):  # the first has the machine for itself, for its curve
                service.set_workers({"tags": count}, ["run_worker.py"], ENGINE=engine)
                about = service.census("tags").workers
                self.curves.setdefault(engine, about[0]["curve_ms"])
            service.set_web(web)
            shape = {"web": web, "workers": workers, "models": 1}
            for clients in (1, 4, 16, CLIENTS):
                self._loads.users(service, "real", TAGS, engine, ["tags"], shape, clients)

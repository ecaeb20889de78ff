"""Faults injected into the real service, and what its clients saw: `make chaos`.

A `Row` is a fault and the promise that holds through it. The runner gives it a `Stage`, the real
Redis, web processes and workers with the engine and the settings that the row needs, shared with
other rows of the same needs. The row puts a `Load` on it, does the harm, and returns what was
`Seen`: the figures, and every way in which the promise was missed.

    ROWS = (Row("workers killed", FAULT, PROMISE, Needs(workers=2), play),)

    def play(stage: Stage, short: bool) -> Seen:
        with Load(stage.port, numbered, clients=100, every_s=3) as load:
            stage.settle(1)                        # let the load run for a second
            os.kill(stage.ready()[0]["pid"], signal.SIGKILL)
            stage.settle(5)
        tally = load.tally()                       # everybody was answered or given up by now
        return Seen(tally.figures(), tally.misses(least_ok=0.99))

- `photos.numbered()` gives a new photo at each call, one that no other request has, with what the
  quick engine (`engine.py`) says of it; `photos.poison(Poison.EXIT)` one that harms it;
  `photos.real()` a function that gives real photos in turn, with what LiteRT says of them.
- `stage.inferences()` counts how often the quick engine ran each photo's `number`.
- `load.outcomes` is every request with its status, problem and times; `tally` sums them up.
- `Needs(through=...)` puts something between Redis and everything else: it takes the URL of Redis
  and is a context manager that gives the one to use.
- `rows/__init__.py` lists the modules whose `ROWS` are run. The short form of every row runs under
  pytest, in `tests/test_chaos.py`.

    python -m bench.chaos [--short] [--row NAME ...]
"""

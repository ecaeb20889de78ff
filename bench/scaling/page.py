"""A sweep and its cost model as a page: `docs/scaling.md` and its plots."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.scaling import plots
from bench.scaling.costs import WAITING_MS, Costs, Fit, accelerator
from bench.scaling.figures import PRODUCT, TAGS, Row, model_of
from bench.scaling.growth import (
    BATCH,
    LINK_GB,
    ONE_REDIS,
    RATES,
    REDIS_BUSY,
    WEB_BUSY,
    WORKER_BUSY,
    ceilings,
    needs,
)
from bench.scaling.prediction import Machine, predict
from shared.settings import Settings

METHOD = Path(__file__).with_name("method.md")
CPU = "litert"


def write(costs: Costs, rows: Sequence[Row], cores: int, folder: Path) -> None:
    """Write the page and the plots into `folder`."""
    loaded = [row for row in rows if row.kind in costs.web and row.web and row.images]
    rates = [predicted(costs, row, cores) for row in loaded]
    plots.throughput(loaded, rates, folder / "scaling_throughput.png")
    engines = {CPU: costs.engines[CPU], "accelerator": accelerator(WAITING_MS)}
    plots.growth(costs, engines, folder / "scaling_growth.png")
    parts = [
        METHOD.read_text(encoding="utf-8").rstrip(),
        "\n".join(f"- {name}: {text}" for name, text in costs.about.items()),
        "## The sweep",
        "![Throughput and cost](scaling_throughput.png)",
        sweep_table(loaded, rates),
        limits(rows, costs),
        "## The queue alone",
        queue_table([row for row in rows if row.sweep in ("queue", "fed", "tcp")]),
        "## The cost model",
        cost_table(costs),
        fit_table(costs),
        "## What a rate needs",
        growth_table(costs),
        "![Growth](scaling_growth.png)",
        "## What breaks first",
        breaks(costs, cores),
    ]
    (folder / "scaling.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def predicted(costs: Costs, row: Row, cores: int) -> float:
    """Return the images per second that the model says for a row of the sweep."""
    engine = costs.engines.get(row.engine, accelerator(WAITING_MS))
    machine = Machine(cores, row.web, row.workers)
    return predict(costs, row.kind, engine, machine, row.clients, load_here=True).per_s


def sweep_table(rows: Sequence[Row], rates: Sequence[float]) -> str:
    """One line per load."""
    lines = [
        "CPU is milliseconds per image; *model* is what the cost model says, and its error.\n",
        "| image | engine | web | workers | models | users | images/s | model | p50 ms | batch "
        "| web | Redis | worker | load | errors |",
        "| --- | --- |" + " ---: |" * 13,
    ]
    for row, rate in zip(rows, rates, strict=True):
        error = rate / row.per_s - 1 if row.per_s else 0.0
        lines.append(
            f"| {row.kind} | {row.engine} | {row.web} | {row.workers} | {row.models} "
            f"| {row.clients} | {row.per_s:.0f} | {rate:.0f} ({error:+.0%}) | {row.p50_ms:.1f} "
            f"| {row.batch:.1f} | {row.ms('web'):.2f} | {row.ms('redis'):.2f} "
            f"| {row.ms('worker'):.2f} | {row.ms('load'):.2f} | {row.errors} |"
        )
    errors = [abs(rate / row.per_s - 1) for row, rate in zip(rows, rates, strict=True) if row.per_s]
    good = sum(error <= 0.15 for error in errors)
    lines.append(
        f"\nThroughput by the model: typically {median(errors):.0%} off, {max(errors):.0%} at "
        f"worst; {good} of {len(errors)} loads within 15 %."
    )
    return "\n".join(lines)


def limits(rows: Sequence[Row], costs: Costs) -> str:
    """Say who held the cores where a load was heaviest."""
    lines = [
        "Where the cores went under the heaviest of these loads, and so what is the limit here:\n",
        "| image | images/s | web | Redis | worker | load | one Redis process would end at |",
        "| --- |" + " ---: |" * 6,
    ]
    for kind in (TAGS, PRODUCT):
        row = max(
            (row for row in rows if row.kind == kind and row.engine == "waiting" and row.web),
            key=lambda row: row.per_s,
        )
        busy = " | ".join(f"{row.cores(part):.2f}" for part in ("web", "redis", "worker", "load"))
        end = 1000 / max(1e-6, row.ms("redis"))
        lines.append(f"| {kind} | {row.per_s:.0f} | {busy} | {end:.0f}/s |")
    return "\n".join(lines)


def queue_table(rows: Sequence[Row]) -> str:
    """One line per load of the queue alone."""
    lines = [
        "A feeder only enqueues and receives, as a web process does; it is emptied by as many "
        "drainers, which only take and ack, or by workers with the engine that waits.\n",
        "| image | over | feeders | emptied by | images/s | batch | Redis CPU ms | of its thread "
        "| worker CPU ms | feeder and drainer CPU ms | errors |",
        "| --- | --- | ---: | --- |" + " ---: |" * 7,
    ]
    for row in rows:
        over = "TCP" if row.sweep == "tcp" else "Unix socket"
        used = row.per_s * row.ms("redis") / 1000
        others = "workers" if row.engine else "drainers"
        lines.append(
            f"| {row.kind} | {over} | {row.clients} | {row.workers} {others} | {row.per_s:.0f} "
            f"| {row.batch:.1f} | {row.ms('redis'):.3f} | {used:.0%} | {row.ms('worker'):.2f} "
            f"| {row.ms('ends'):.2f} | {row.errors} |"
        )
    return "\n".join(lines)


def cost_table(costs: Costs) -> str:
    """What an image costs each part."""
    lines = [
        f"Per image, batches of {BATCH} assumed:\n",
        "| image | sent KB | web CPU ms | Redis CPU µs, Unix socket | over TCP "
        "| Redis MB, in and out | worker CPU ms beside the engine |",
        "| --- |" + " ---: |" * 6,
    ]
    for kind, web in costs.web.items():
        model = model_of(kind)
        lines.append(
            f"| {kind} | {costs.photo_kb[kind]:.1f} | {web.ms():.2f} "
            f"| {1000 * costs.redis_ms(kind, BATCH):.0f} "
            f"| {1000 * costs.redis_ms(kind, BATCH, tcp=True):.0f} "
            f"| {costs.wire_mb[model]:.3f} | {costs.worker_ms(kind, BATCH):.2f} |"
        )
    lines.append("\nThe engines, by their service curve (ms for a batch), alone and with all busy:")
    lines.append("")
    sizes = list(dict.fromkeys(size for each in costs.engines.values() for size in each.curve_ms))
    lines.append(f"| engine | {' | '.join(sizes)} | best | per image, alone | all cores busy |")
    lines.append("| --- |" + " ---: |" * (len(sizes) + 3))
    for name, engine in costs.engines.items():
        took = [f"{engine.curve_ms[size]:.1f}" if size in engine.curve_ms else "" for size in sizes]
        best = engine.best
        lines.append(
            f"| {name} | {' | '.join(took)} | {best} | {engine.ms(best, 0):.2f} "
            f"| {engine.ms(best, 1):.2f} |"
        )
    kept = ", ".join(f"{kb:.1f} KB of `{model}`" for model, kb in costs.held_kb.items())
    lines.append(
        f"\nA lone request takes {costs.way_ms:.1f} ms beyond these sums. A result that is kept "
        f"holds {kept} in Redis. A worker "
        f"that waits for a core finds what came in {costs.pile_ms:.1f} ms."
    )
    return "\n".join(lines)


def fit_table(costs: Costs) -> str:
    """How the costs were fitted, and how well."""
    lines = [
        "Each part's CPU (by `/proc`; Redis' by its own `INFO`) over a load is fitted as the sum "
        "of the parts below, none under zero, by least squares of the relative error.\n",
        "| part | ms per image | per batch | per MB | per process and second "
        "| per web process and second | loads | typical error | worst |",
        "| --- |" + " ---: |" * 8,
    ]
    named = {f"web, {kind}": fit for kind, fit in costs.web.items()}
    every: dict[str, Fit] = {**named, "Redis": costs.redis, "worker": costs.worker}
    for name, fit in every.items():
        cells = [
            f"{fit.per[unit]:.3f}" if unit in fit.per else ""
            for unit in ("image", "take", "mb", "process_s", "web_s")
        ]
        lines.append(
            f"| {name} | {' | '.join(cells)} | {fit.rows} | {fit.typical_error:.0%} "
            f"| {fit.worst_error:.0%} |"
        )
    lines.append(
        f"\nOver TCP Redis takes {costs.tcp:.2f} times the CPU. Throughput and latency follow from "
        "the costs by mean value analysis (`bench/scaling/prediction.py`)."
    )
    return "\n".join(lines)


def growth_table(costs: Costs) -> str:
    """What the rates need, on the CPU and with accelerators."""
    lines = [
        f"Photos of 640x480. Web cores at most {WEB_BUSY:.0%} busy, Redis {REDIS_BUSY:.0%} of its "
        f"thread (over TCP), workers {WORKER_BUSY:.0%}; the rest is for bursts. *On CPU*: "
        f"{CPU}, a worker is a core. *Accelerator*: {WAITING_MS} ms per image; its workers' cores "
        "are for what a worker does beside the engine. Beyond this machine's own rate this is "
        "extrapolated.\n",
        "| images/s | web cores | Redis shards | workers on CPU, a core each "
        "| or workers with an accelerator | and their cores | photos in, GB/s "
        "| through Redis, GB/s | results kept, GB |",
        "| ---: |" + " ---: |" * 8,
    ]
    for rate in RATES:
        cpu = needs(costs, TAGS, costs.engines[CPU], rate)
        fast = needs(costs, TAGS, accelerator(WAITING_MS), rate)
        lines.append(
            f"| {rate:,} | {cpu.web_cores:,} | {max(cpu.shards, fast.shards)} | {cpu.workers:,} "
            f"| {fast.workers:,} | {fast.worker_cores:,} | {cpu.photos_gb:.3g} "
            f"| {cpu.wire_gb:.3g} | {cpu.held_gb:.2g} |"
        )
    lines.append(
        "\nA shard is a Redis of its own. A model's queue lives in one slot, so it cannot be "
        "spread over a Redis Cluster: several models spread by themselves, but one busy model "
        "needs several whole services (web processes, Redis, workers), each blind to the others, "
        "behind one balancer. Nothing is lost by that but the company of larger batches. "
        "`respond-async` then needs a balancer that sends `/results/<id>` to the service that "
        "took the request."
    )
    return "\n".join(lines)


def breaks(costs: Costs, cores: int) -> str:
    """What ends on the way from each rate to the next, in order, and what to do then."""
    found = ceilings(costs, TAGS, costs.engines[CPU], accelerator(WAITING_MS), cores)
    lines = ["| on the way to | first ends | at images/s | then |", "| ---: | --- | ---: | --- |"]
    for low, high in pairwise((0, *RATES)):
        met = [each for each in found if low < each.per_s <= high]
        lines += [
            f"| {high:,} | {each.what} | {each.per_s:,.0f} | {each.remedy} |" for each in met
        ] or [f"| {high:,} | nothing | | |"]
    full = next(each.per_s for each in found if each.what == ONE_REDIS)
    lines.append(
        f"\nA queue holds {Settings().queue_max_items:,} items, which is "
        f"{Settings().queue_max_items / full:.1f} s of what one Redis passes on. Links are taken "
        f"at {LINK_GB * 8:g} Gbit/s. Networks, balancers and more than one machine were not "
        "measured, nor was a Redis whose thread is full."
    )
    return "\n".join(lines)

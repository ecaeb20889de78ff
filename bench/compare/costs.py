"""What a request costs, by part and by process: the tables of that."""

from __future__ import annotations

import math

from bench.compare.figures import Results, spread
from bench.compare.tables import names, number, table


def memory(results: Results, kind: str, clients: int) -> str:
    """What the processes hold under one load."""
    rows = []
    for name in names(results, kind):
        own = results.select(name, kind, clients)
        for part in sorted({part for row in own for part in row.memory}):
            held = [row.memory[part] for row in own if part in row.memory]
            rows.append(
                [
                    f"{name}: {part}",
                    str(held[0].processes),
                    number(spread([each.largest_rss for each in held]).median, 0),
                    number(spread([each.pss for each in held]).median, 0),
                    number(spread([row.cpu_ms.get(part, 0.0) for row in own]).median, 2),
                ]
            )
    head = ["processes of", "how many", "RSS of the largest, MiB", "PSS of all, MiB", "CPU ms each"]
    return table(head, rows)


def parts(results: Results, kind: str, clients: int) -> dict[str, dict[str, float]]:
    """Return, by server, the CPU ms per request of each part.

    Decode and networks are what `bare` of the same round needs for them; HTTP is what the web
    processes use beyond decode, batch what the workers use beyond the networks. Of a peer the
    split of the rest is not known.
    """
    found = {}
    for name in names(results, kind):
        own = [row for row in results.select(name, kind, clients) if row.answers]
        if not own:
            continue
        engine = own[0].engine
        limits = [row for row in results.bare if (row.engine, row.kind) == (engine, kind)]
        decode = spread([row.decode_ms for row in limits]).median
        network = spread([row.network_ms for row in limits]).median
        cpu = {
            part: spread([row.cpu_ms.get(part, 0.0) for row in own]).median
            for part in {part for row in own for part in row.cpu_ms}
        }
        cost = {"network": network, "decode": decode}
        if name.startswith("Batchpoint"):
            cost["HTTP"] = cpu.get("web", 0.0) - decode
            cost["Redis"] = cpu.get("redis", 0.0)
            cost["batch"] = cpu.get("worker", 0.0) - network
        else:
            cost["all else"] = sum(cpu.values()) - decode - network
        found[name] = cost
    return found


def cost(results: Results, kind: str, clients: int) -> str:
    """The table of `parts`."""
    found = parts(results, kind, clients)
    head = list(dict.fromkeys(part for each in found.values() for part in each))
    found = {name: {**each, "sum": sum(each.values())} for name, each in found.items()}
    return table(
        [f"CPU ms each, {kind}, {clients} clients", *head, "sum"],
        [
            [name, *(number(each.get(part, math.nan), 2) for part in [*head, "sum"])]
            for name, each in found.items()
        ],
    )

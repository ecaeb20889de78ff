"""What a number of users needs, and what they get on a machine, by the costs measured on it.

    python -m bench.capacity --users 64
    python -m bench.capacity --users 5000 --think-s 2 --photo 4000x3000 --cores 64
    python -m bench.capacity --users 20000 --engine-ms 0.5 --cores 96 --workers 16
    python -m bench.capacity --users 32 --check

Users post a photo, wait for the answer, think, and post again. The costs are those of
`docs/scaling.json`, which `make bench-scaling` writes anew on another machine. `--check` starts
the real service here, lets so many users come, and compares.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, replace
from statistics import fmean

from bench.compare.candidates import CORES
from bench.compare.environment import VAR
from bench.compare.load import Job, Seen
from bench.compare.photos import KINDS, SMALL, make
from bench.compare.tagger import ROOT
from bench.scaling.costs import Costs, EngineCost, accelerator
from bench.scaling.growth import BATCH, MACHINE_CORES, Needs, needs
from bench.scaling.loads import PATIENCE_S, run_users
from bench.scaling.prediction import Machine, Prediction, predict
from bench.scaling.service import WAITING, Service

WITHIN = 0.15  # of what was measured: the bar of a check
_PATH = "/predict/tags"


@dataclass(frozen=True)
class Question:
    """What a user of this program asks."""

    users: int
    think_s: float
    photo: str
    deadline_ms: float
    engine: str  # a name in the costs, where `engine_ms` is 0
    engine_ms: float  # per image, of an accelerator
    machine: Machine

    @property
    def kind(self) -> str:
        """What the costs call the photo."""
        return f"tags {self.photo}"

    def engine_cost(self, costs: Costs) -> EngineCost:
        """Return what its engine takes."""
        return accelerator(self.engine_ms) if self.engine_ms else costs.engines[self.engine]

    def answer(self, costs: Costs, load_here: bool = False) -> Prediction:
        """Return what its users get on its machine."""
        return predict(
            costs,
            self.kind,
            self.engine_cost(costs),
            self.machine,
            self.users,
            self.think_s * 1000,
            load_here,
        )

    def asked_per_s(self, costs: Costs) -> float:
        """Return the images per second if nobody had to wait for anybody else."""
        plenty = Machine(self.users, self.users, self.users)
        alone = predict(costs, self.kind, self.engine_cost(costs), plenty, 1)
        return self.users / (self.think_s + alone.latency_ms / 1000)

    def most_users(self, costs: Costs) -> int:
        """Return how many users the machine serves within the deadline, on the mean."""
        few, many = 0, 1
        while self._is_served(costs, many) and many < 1_000_000:
            few, many = many, many * 2
        while many - few > max(1, few // 100):
            middle = (few + many) // 2
            few, many = (middle, many) if self._is_served(costs, middle) else (few, middle)
        return few

    def _is_served(self, costs: Costs, users: int) -> bool:
        return replace(self, users=users).answer(costs).latency_ms <= self.deadline_ms


def main() -> int:
    """Answer; with `--check` return 1 where the prediction is off by more than 15 %."""
    try:
        costs = Costs.read()
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"capacity: no costs ({error}): make bench-scaling measures them", file=sys.stderr)
        return 2
    options = _parse(costs)
    machine = Machine(
        options.cores, options.web or max(1, options.cores // 2), options.workers or options.cores
    )
    question = Question(
        options.users,
        options.think_s,
        options.photo,
        options.deadline_ms,
        options.engine,
        options.engine_ms,
        machine,
    )
    print(answer_text(question, costs))
    return check(question, costs, options.seconds) if options.check else 0


def _parse(costs: Costs) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.capacity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fastest = min(costs.engines, key=lambda name: costs.engines[name].ms(BATCH, 1))
    parser.add_argument("--users", type=int, required=True, help="at the same time")
    parser.add_argument("--think-s", type=float, default=0.0, help="mean, between two photos")
    parser.add_argument("--photo", choices=[kind.name for kind in KINDS], default=SMALL.name)
    parser.add_argument("--deadline-ms", type=float, default=5000.0)
    parser.add_argument("--engine", choices=list(costs.engines), default=fastest)
    parser.add_argument(
        "--engine-ms", type=float, default=0.0, help="per image, of an accelerator instead"
    )
    parser.add_argument("--cores", type=int, default=CORES, help="of the machine (default: this)")
    parser.add_argument("--web", type=int, default=0, help="processes (default: half the cores)")
    parser.add_argument("--workers", type=int, default=0, help="default: one per core")
    parser.add_argument("--check", action="store_true", help="measure it here, and compare")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the check (default 10)")
    options = parser.parse_args()
    if options.users < 1 or options.cores < 1:
        parser.error("there is at least one user and one core")
    if options.check and options.cores != CORES:
        parser.error(f"this machine has {CORES} cores: others cannot be checked here")
    return options


def answer_text(question: Question, costs: Costs) -> str:
    """Return the answer for people."""
    machine, engine = question.machine, question.engine_cost(costs)
    asked = question.asked_per_s(costs)
    wanted = needs(costs, question.kind, engine, asked, tcp=asked_is_large(costs, question, asked))
    here = question.answer(costs)
    named = f"{question.engine_ms:g} ms accelerators" if question.engine_ms else question.engine
    enough = "meets" if here.latency_ms <= question.deadline_ms else "misses"
    parts = ", ".join(
        f"{part} {here.cores(part):.2f}" for part in ("web", "redis", "worker", "engine")
    )
    ends = ", ".join(f"{name} {rate:,.0f}" for name, rate in here.ceilings.items())
    return "\n".join(
        [
            f"{question.users:,} users, {question.think_s:g} s of thought between photos of "
            f"{question.photo}; {named}; costs measured {costs.about['date']} on "
            f"{costs.about['machine']}",
            "",
            f"Asked, if nobody waits for another: {asked:,.0f} images/s. To serve that, with room "
            "for bursts:",
            f"  web tier   {wanted.web_cores:,} cores",
            f"  Redis      {wanted.shards:,} process(es), each a shard",
            f"  workers    {wanted.workers:,}, with {wanted.worker_cores:,} cores",
            f"  network    {wanted.photos_gb:.3g} GB/s of photos, {wanted.wire_gb:.3g} GB/s "
            "through Redis",
            f"  memory     {wanted.held_gb:.2g} GB in Redis for results",
            "",
            f"One machine of {machine.cores} cores, {machine.web} web processes, "
            f"{machine.workers} workers, users elsewhere:",
            f"  {here.per_s:,.1f} images/s, {here.latency_ms:,.0f} ms on the mean, which {enough} "
            f"the deadline of {question.deadline_ms:,.0f} ms; batches of {here.batch:.1f}",
            f"  cores busy: {parts}",
            f"  each part would end at (images/s): {ends}; least: {here.limit}",
            f"  users it serves within the deadline: {question.most_users(costs):,}",
        ]
    )


def asked_is_large(costs: Costs, question: Question, rate: float) -> bool:
    """Return whether the rate needs more than one machine, so that Redis is reached over TCP."""
    one: Needs = needs(costs, question.kind, question.engine_cost(costs), rate, tcp=False)
    return one.web_cores + one.shards + one.worker_cores > MACHINE_CORES


def check(question: Question, costs: Costs, seconds: float) -> int:
    """Hold the prediction against the real service on this machine; return the exit status."""
    text, good = verdict(question.answer(costs, load_here=True), measure(question, seconds))
    print(f"\nChecked here, the users on the same cores:\n\n{text}")
    return 0 if good else 1


def verdict(foretold: Prediction, seen: Seen) -> tuple[str, bool]:
    """Compare; return a table, and whether all is within 15 % and nothing went wrong."""
    per_s = len(seen.latencies_ms) / seen.seconds
    latency_ms = fmean(seen.latencies_ms or [0.0])
    lines = [f"{'':12}{'predicted':>12}{'measured':>12}{'error':>10}"]
    good = not seen.errors
    for name, told, found in (
        ("images/s", foretold.per_s, per_s),
        ("mean ms", foretold.latency_ms, latency_ms),
    ):
        error = told / found - 1 if found else math.inf
        good = good and abs(error) <= WITHIN
        lines.append(f"{name:12}{told:12.1f}{found:12.1f}{error:+10.1%}")
    lines.append(f"{'batch':12}{foretold.batch:12.1f}{seen.batch:12.1f}")
    lines.append(f"{'errors':12}{0:12}{sum(seen.errors.values()):12}")
    lines.append(f"within {WITHIN:.0%}: {'yes' if good else 'no'}")
    return "\n".join(lines), good


def measure(question: Question, seconds: float) -> Seen:
    """Let the users come to the real service."""
    folder = VAR / "photos" / question.photo
    make(next(kind for kind in KINDS if kind.name == question.photo), folder)
    with Service(models=ROOT / "models") as service:
        if question.engine_ms:
            command = [*WAITING, "--ms-per-image", str(question.engine_ms)]
            service.set_workers({"tags": question.machine.workers}, command)
        else:
            command = ["run_worker.py"]
            service.set_workers({"tags": question.machine.workers}, command, ENGINE=question.engine)
        # Whoever would be refused at the deadline is to be seen as slow.
        service.set_web(question.machine.web, DEADLINE_MS="30000")
        job = Job(
            port=service.port,
            path=_PATH,
            dialect="query",
            folder=str(folder),
            answers="",
            clients=question.users,
            seconds=seconds,
            think_s=question.think_s,
            patience_s=PATIENCE_S,
            warm_up_s=1.0 + 2 * question.think_s + question.users / 50,
        )
        return run_users(service, [job])[0]


if __name__ == "__main__":
    sys.exit(main())

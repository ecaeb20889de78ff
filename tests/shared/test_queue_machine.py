"""The queue's promises in any order of calls, whose replies are lost or which come late.

Hypothesis makes up the order. After each step, what Redis holds is compared with what it held
before: nothing that was accepted disappears without a result, none has two, none is under two
leases, and what is known to wait is what waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared import keys
from shared.messages import Request, Result, decode_results
from shared.settings import Settings
from tests.shared.faulty import Faulty

PREFIX = keys.prefix("tags")
MAILBOX = "f" * 32
BOX = keys.mailbox("tags", MAILBOX)
IDS = [f"{place:032x}" for place in range(4)]
# Time passes by a rule alone: what really passes meanwhile is nothing beside these.
HASTY_MS, LEASE_MS, PATIENT_MS = 100_000, 300_000, 1_000_000
SETTINGS = Settings(queue_max_items=8, heartbeat_ms=600_000, lease_ms=LEASE_MS)

places = st.integers(0, len(IDS) - 1)
workers = st.integers(0, 1)
# Redis has a call and its reply is heard, or not, or Redis has it only later.
hearings = st.sampled_from(["heard", "heard", "heard", "unheard", "late"])


@dataclass
class Worker:
    """What a worker knows: the requests in its hands, and whether a take of it failed."""

    token: str
    hands: list[Request] = field(default_factory=list)
    in_doubt: bool = False

    @property
    def known(self) -> list[str]:
        return [request.id for request in self.hands]


class State:
    """What Redis holds of the queue."""

    def __init__(self, client: redis.Redis) -> None:
        pipe: Any = client.pipeline()
        pipe.lrange(PREFIX + "queue", 0, -1).hgetall(PREFIX + "load")
        pipe.zrange(PREFIX + "pending", 0, -1).zrange(PREFIX + "leases", 0, -1)
        pipe.hgetall(PREFIX + "owners").hkeys(PREFIX + "leased").hkeys(PREFIX + "attempts")
        pipe.mget([keys.result("tags", id_) for id_ in IDS]).lrange(BOX, 0, -1).delete(BOX)
        queue, load, pending, leases, owners, leased, attempts, kept, boxes, _ = pipe.execute()
        self.waiting = [Request.decode(payload) for payload in queue]
        self.load = {key.decode(): int(value) for key, value in load.items()}
        self.bytes = sum(map(len, queue))
        self.pending, self.leases, self.leased, self.attempts = (
            {id_.decode() for id_ in ids} for ids in (pending, leases, leased, attempts)
        )
        self.owners = {id_.decode(): token.decode() for id_, token in owners.items()}
        self.kept = {id_ for id_, result in zip(IDS, kept, strict=True) if result}
        self.received = [result for box in boxes for result in decode_results(box)]


class Machine(RuleBasedStateMachine):
    """Web processes and two workers, on one queue."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.client = client
        self.queue = Faulty(client, "tags", SETTINGS)
        self.workers = [Worker("w0"), Worker("w1")]
        self.lives = 2
        self.restarted = False
        self.empty_redis()

    def call(self, hearing: str, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a call returns, or None where its reply is not heard."""
        self.queue.hearing = {operation.__name__: hearing}
        try:
            return operation(*arguments)
        except redis.TimeoutError:
            return None

    def empty_redis(self) -> None:
        self.client.flushall()
        self.queue.beat("w0", {})
        self.before = State(self.client)
        self.leases_may_end = False
        self.cancelled: set[str] = set()

    @precondition(lambda self: not self.restarted)
    @rule()
    def restart_redis(self) -> None:
        self.restarted = True
        self.empty_redis()

    @rule(chosen=st.lists(places, min_size=1, max_size=4), hasty=st.booleans(), hearing=hearings)
    def enqueue(self, chosen: list[int], hasty: bool, hearing: str) -> None:
        payloads = [
            Request(
                IDS[place],
                [np.zeros((1 + place % 3, 2, 2, 3), np.uint8)],
                HASTY_MS if hasty else PATIENT_MS,
                mailbox=MAILBOX,
            ).encode()
            for place in chosen
        ]
        claims = [IDS[place] if place % 2 else "" for place in chosen]
        replies = self.call(hearing, self.queue.enqueue, payloads, claims) or []
        accepted = [
            IDS[place]
            for place, reply in zip(chosen, replies, strict=False)
            if reply.status == "accepted"
        ]
        assert len(set(accepted)) == len(accepted)
        assert not self.before.pending & set(accepted), "it waits already"

    @rule(
        number=workers,
        size=st.integers(1, 4),
        starts_in_ms=st.sampled_from([0, HASTY_MS + 1]),
        hearing=hearings,
    )
    def take(self, number: int, size: int, starts_in_ms: int, hearing: str) -> None:
        worker = self.workers[number]
        if worker.in_doubt:
            self.release(worker, hearing)
            return
        taken = self.call(hearing, self.queue.take, worker.token, [0.0] * size, starts_in_ms)
        worker.in_doubt = taken is None
        requests = [Request.decode(each.payload) for each in taken or []]
        worker.hands += requests
        ids = [request.id for request in requests]
        assert len(set(ids)) == len(ids), "twice in one batch"
        assert not self.before.leases & set(ids), "it runs already"
        assert self.before.pending >= set(ids), "nobody waits for it"

    def release(self, worker: Worker, hearing: str) -> None:
        heard = self.call(hearing, self.queue.release, worker.token, worker.known) is not None
        worker.in_doubt = not heard
        if heard:
            owners = cast("dict[bytes, bytes]", self.client.hgetall(PREFIX + "owners"))
            held = {id_.decode() for id_ in owners if owners[id_].decode() == worker.token}
            assert held <= set(worker.known)

    @precondition(lambda self: any(worker.hands for worker in self.workers))
    @rule(number=workers, hearing=hearings, only_renew=st.booleans())
    def renew_or_ack(self, number: int, hearing: str, only_renew: bool) -> None:
        worker = self.workers[number]
        if only_renew:
            self.call(hearing, self.queue.renew, worker.token, worker.known)
            return
        answers = [(request, Result(request.id, version=worker.token)) for request in worker.hands]
        if self.call(hearing, self.queue.ack, worker.token, answers) is not None:
            worker.hands.clear()

    @rule(
        passed_ms=st.sampled_from([0, HASTY_MS, LEASE_MS]),
        dies=st.sampled_from([None, None, None, None, 0, 1]),
        hearing=hearings,
    )
    def reap(self, passed_ms: int, dies: int | None, hearing: str) -> None:
        for key in (PREFIX + "leases", PREFIX + "pending"):
            for id_ in cast("list[bytes]", self.client.zrange(key, 0, -1)):
                self.client.zincrby(key, -passed_ms, id_.decode())
        self.leases_may_end = True
        dead = ""
        if dies is not None:
            dead, self.workers[dies] = self.workers[dies].token, Worker(f"w{self.lives}")
            self.lives += 1
            self.queue.beat(self.workers[dies].token, {})
        self.call(hearing, self.queue.reap, dead)

    @rule(place=places, hearing=hearings)
    def cancel(self, place: int, hearing: str) -> None:
        self.cancelled = {IDS[place]}
        self.call(hearing, self.queue.cancel, [IDS[place]])

    @precondition(lambda self: self.queue.late)
    @rule(number=st.integers(0, 9))
    def arrive(self, number: int) -> None:
        """Redis has a call that its caller gave up."""
        late = self.queue.late.pop(number % len(self.queue.late))
        self.leases_may_end = late.script == "reap"
        self.cancelled = set(late.arguments) if late.script == "cancel" else set()
        late.arrive()

    @precondition(lambda self: self.before.kept)
    @rule()
    def results_expire(self) -> None:
        self.client.delete(*(keys.result("tags", id_) for id_ in IDS))

    @invariant()
    def nothing_is_lost_or_answered_twice(self) -> None:
        before, now = self.before, State(self.client)
        received = [result.id for result in now.received]
        assert len(set(received)) == len(received)
        gone = before.pending - now.pending
        assert set(received) <= gone <= set(received) | self.cancelled
        assert set(received) <= now.kept
        assert not now.kept & now.pending
        for result in now.received:
            assert result.error or result.version == before.owners[result.id], "not its worker's"
        self.before, self.cancelled = now, set()
        self.each_has_one_place(before, now)

    def each_has_one_place(self, before: State, now: State) -> None:
        assert now.leases == now.leased == set(now.owners)
        assert now.leases <= now.pending
        assert now.attempts <= now.pending
        assert now.pending <= {request.id for request in now.waiting} | now.leases
        for id_ in before.leases & now.leases:
            assert before.owners[id_] == now.owners[id_], "it runs already"
        for worker in self.workers:
            held = {id_ for id_ in before.leases if before.owners[id_] == worker.token}
            returned = held & set(worker.known) & now.pending - now.leases
            assert not returned or self.leases_may_end, "it runs still"
        self.leases_may_end = False

    @invariant()
    def what_waits_is_known_and_leaves_by_itself(self) -> None:
        now = self.before
        items = sum(request.items for request in now.waiting)
        assert now.load == ({"items": items, "bytes": now.bytes} if items else {})
        found = cast("list[bytes]", self.client.keys("*"))
        pipe = self.client.pipeline()
        for key in found:
            pipe.pttl(key)
        assert all(left_ms > 0 for left_ms in pipe.execute())

    def teardown(self) -> None:
        """All is answered in the end, and nothing is left."""
        self.client.zunionstore(PREFIX + "leases", {PREFIX + "leases": 0})  # they end
        self.queue.reap()
        while taken := self.queue.take("last", [0.0] * 4):
            requests = [Request.decode(each.payload) for each in taken]
            self.queue.ack("last", [(request, Result(request.id)) for request in requests])
        found = cast("list[bytes]", self.client.keys("*"))
        names = {key.decode().removeprefix(PREFIX).partition(":")[0] for key in found}
        kept = {"workers", "worker", "since", "sent", "drained", "result", "claim", "mailbox"}
        assert names <= kept


def test_in_any_order(client: redis.Redis) -> None:
    run_state_machine_as_test(
        lambda: Machine(client),  # type: ignore[arg-type]
        settings=settings(
            max_examples=100,
            stateful_step_count=50,
            deadline=None,
            report_multiple_bugs=False,
            derandomize=True,  # what CI says does not depend on chance
            suppress_health_check=list(HealthCheck),
        ),
    )

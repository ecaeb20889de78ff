"""Rates: the same behaviour in Redis and in a process, and the change between the two."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from shared import keys, rates
from shared.rates import LocalRates, Rate, Rates, StoredRates, Verdict
from shared.store import connect

Take = Callable[..., Verdict]


@pytest.fixture(params=["stored", "local"])
def take(request: pytest.FixtureRequest, client: redis.Redis) -> Take:
    """Count a request, in Redis or in this process."""
    return StoredRates(client).take if request.param == "stored" else LocalRates().take


def allowed(take: Take, who: str, rate: Rate, count: int) -> int:
    return sum(take(who, rate).allowed for _ in range(count))


def test_a_burst_is_let_in_and_no_more(take: Take) -> None:
    assert allowed(take, "a", Rate(0.1, 5), 9) == 5


def test_what_may_follow_is_counted_down(take: Take) -> None:
    assert [take("a", Rate(0.1, 3)).left for _ in range(4)] == [2, 1, 0, 0]


def test_who_was_refused_is_let_in_when_it_was_told_and_not_before(take: Take) -> None:
    rate = Rate(2, 2)
    assert allowed(take, "a", rate, 2) == 2
    refused = take("a", rate)
    assert not refused.allowed
    assert 0.3 < refused.next_s <= 0.5
    assert refused.next_s + 0.5 == pytest.approx(refused.full_s, abs=0.01)
    time.sleep(refused.next_s - 0.1)
    assert not take("a", rate).allowed
    time.sleep(0.11)
    assert take("a", rate).allowed


def test_a_refusal_costs_the_client_nothing(take: Take) -> None:
    rate = Rate(0.1, 1)
    assert allowed(take, "a", rate, 50) == 1
    assert take("a", rate).next_s <= 10


def test_each_item_of_a_request_costs_as_much_as_a_request(take: Take) -> None:
    rate = Rate(0.1, 10, most=16)
    assert take("a", rate).left == 9
    assert take("a", rate, 3).left == 6
    assert allowed(take, "a", rate, 9) == 6


def test_a_request_of_more_than_a_burst_is_let_in_and_then_paid_off(take: Take) -> None:
    rate = Rate(10, 2, most=256)
    assert take("a", rate).allowed
    whole = take("a", rate, 255)
    assert whole.allowed
    assert whole.left == 0
    assert 25 < whole.full_s <= 25.6
    refused = take("a", rate)
    assert not refused.allowed
    assert refused.left == 0
    assert 25 < refused.next_s <= 25.5, "all is paid off then, but for a burst less one"


def test_of_many_large_requests_at_once_one_is_let_in(take: Take) -> None:
    rate = Rate(10, 20, most=256)
    assert allowed(take, "a", rate, 20) == 20, "their bodies are still to come"
    assert [take("a", rate, 255).allowed for _ in range(20)] == [True] + [False] * 19
    assert take("a", rate).next_s <= 25.6


def test_a_debt_is_paid_off_in_its_time(take: Take) -> None:
    rate = Rate(50, 1, most=16)
    take("a", rate)
    take("a", rate, 15)
    time.sleep(take("a", rate).next_s - 0.1)
    assert not take("a", rate).allowed
    time.sleep(0.11)
    assert take("a", rate).allowed


def test_clients_do_not_share_a_rate(take: Take) -> None:
    rate = Rate(0.1, 1)
    assert [take(who, rate).allowed for who in ("a", "b", "a")] == [True, True, False]


def test_a_rate_that_was_lowered_holds_at_once_and_keeps_nobody_out_for_long(take: Take) -> None:
    assert allowed(take, "a", Rate(0.001, 1000), 1000) == 1000
    assert take("a", Rate(10, 1)).next_s <= 0.1 + 1e-6


def test_over_time_it_is_the_rate_that_is_let_in(take: Take) -> None:
    rate, began, count = Rate(100, 50), time.monotonic(), 0
    while True:
        asked_s = time.monotonic() - began
        if take("a", rate).allowed:
            count += 1
        elif asked_s > 0.5:
            break
    assert 50 + 100 * 0.5 - 1 <= count <= 50 + 100 * (time.monotonic() - began) + 1


def test_what_is_kept_of_a_client_leaves_redis_when_it_has_paid(client: redis.Redis) -> None:
    StoredRates(client).take("a", Rate(4, 8))
    assert 0 < client.pttl(keys.rate("a")) <= 250
    time.sleep(0.3)
    assert client.keys() == []


def test_it_is_counted_to_the_microsecond(client: redis.Redis) -> None:
    StoredRates(client).take("a", Rate(0.1, 8))
    kept = client.get(keys.rate("a"))
    assert isinstance(kept, bytes)
    assert len(str(int(kept))) == 16


def test_a_clock_that_is_set_back_keeps_nobody_out(client: redis.Redis) -> None:
    rate = Rate(1, 3)
    client.set(keys.rate("a"), int((time.time() + 3600) * 1e6))
    assert StoredRates(client).take("a", rate).next_s <= 1


def test_one_round_trip_counts_a_request(client: redis.Redis) -> None:
    stored = StoredRates(client)
    stored.take("a", Rate(1, 9))  # loads the script
    before = client.info("commandstats")
    stored.take("a", Rate(1, 9))
    after = client.info("commandstats")
    calls = after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"]
    assert calls == 1
    assert "cmdstat_eval" not in after


def test_a_process_remembers_only_its_latest_clients() -> None:
    local = LocalRates(most=100)
    for number in range(1000):
        local.take(str(number), Rate(0.1, 1))
    assert not local.take("999", Rate(0.1, 1)).allowed
    assert local.take("0", Rate(0.1, 1)).allowed
    assert len(local._paid_off) == 100


def test_an_idle_client_is_forgiven_by_a_process() -> None:
    now = 0.0
    local = LocalRates(lambda: now)
    assert allowed(local.take, "a", Rate(1, 5), 9) == 5
    now = 3.0
    assert allowed(local.take, "a", Rate(1, 5), 9) == 3
    now = 300.0
    assert allowed(local.take, "a", Rate(1, 5), 9) == 5


class Gone:
    """A Redis that can go and come, and counts how often it was asked."""

    def __init__(self) -> None:
        self.away = True
        self.asked = 0

    def register_script(self, _: str) -> Any:
        return self._run

    def _run(self, **_: Any) -> list[int]:
        self.asked += 1
        if self.away:
            raise redis.TimeoutError("Timeout reading from socket")
        return [1, 7, 0, 0]


def test_while_redis_is_away_a_process_counts_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, gone = 100.0, Gone()
    counted = Rates(gone, lambda: now)  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO):
        for number in range(30):
            now += 0.1
            assert counted.take("a", Rate(0.1, 5)).allowed == (number < 5)
        assert gone.asked == math.ceil(3 / rates._AWAY_S)  # it is not waited for each time
        gone.away = False
        now += rates._AWAY_S
        assert counted.take("a", Rate(0.1, 5)).left == 7
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_while_redis_is_away_items_are_counted_too() -> None:
    counted = Rates(Gone(), lambda: 100.0)  # type: ignore[arg-type]
    rate = Rate(0.1, 5, most=16)
    assert counted.take("a", rate).left == 4
    assert counted.take("a", rate, 15).allowed
    assert counted.take("a", rate).next_s == pytest.approx(120)


def test_a_redis_that_is_not_there_holds_no_request_up() -> None:
    counted = Rates(connect("redis://127.0.0.1:1/0", 0.25))
    began = time.monotonic()
    for _ in range(20):
        counted.take("a", Rate(1, 20))
    assert time.monotonic() - began < 5

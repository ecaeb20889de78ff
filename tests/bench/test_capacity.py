"""The prediction, what a rate needs, and how a prediction is held against what was measured."""

from __future__ import annotations

import sys

import pytest

from bench import capacity
from bench.capacity import Question, answer_text, verdict
from bench.compare.load import Seen
from bench.scaling.costs import Costs, accelerator
from bench.scaling.growth import ceilings, needs
from bench.scaling.prediction import Machine, Prediction, predict, solve
from tests.bench.machine import costs

KIND = "tags 640x480"
ENGINE = costs().engines["litert"]


def ask(users: int = 8, **figures: float) -> Question:
    """Return a question about a machine of two cores."""
    return Question(
        users=users,
        think_s=figures.get("think_s", 0.0),
        photo="640x480",
        deadline_ms=figures.get("deadline_ms", 5000.0),
        engine="litert",
        engine_ms=figures.get("engine_ms", 0.0),
        machine=Machine(2, 1, 2),
    )


def test_one_user_meets_nobody() -> None:
    per_ms, response_ms = solve([(10.0, 2), (5.0, 4)], 1, 25.0)
    assert response_ms == pytest.approx(15)
    assert per_ms == pytest.approx(1 / 40)


def test_a_crowd_gets_what_the_slowest_station_does() -> None:
    per_ms, response_ms = solve([(10.0, 2), (1.0, 1)], 500, 0.0)
    assert per_ms == pytest.approx(2 / 10, rel=1e-3)
    assert response_ms == pytest.approx(500 / per_ms, rel=1e-6)


def test_two_stations_of_one_server_are_solved_exactly() -> None:
    per_ms, _ = solve([(10.0, 1), (10.0, 1)], 2, 0.0)
    assert per_ms == pytest.approx(2 / 30)  # n / ((n + stations - 1) * service)


@pytest.mark.parametrize("think_ms", [0.0, 1500.0, 5000.0])
def test_a_large_crowd_is_estimated_as_a_smaller_one_is_computed(think_ms: float) -> None:
    exact, _ = solve([(10.0, 2), (1.0, 1)], 500, think_ms)
    estimated, _ = solve([(10.0, 2), (1.0, 1)], 501, think_ms)
    assert estimated == pytest.approx(exact, rel=0.04)


def test_a_lone_request_takes_the_sum_of_its_costs() -> None:
    alone = predict(costs(), KIND, ENGINE, Machine(2, 1, 2), 1)
    assert alone.latency_ms == pytest.approx(4 + 0.5 + 1.5 + 10 + 1)
    assert alone.per_s == pytest.approx(1000 / 17)


def test_a_crowd_on_the_cpu_gets_the_cores() -> None:
    crowd = predict(costs(), KIND, ENGINE, Machine(2, 1, 2), 256)
    assert crowd.limit == "cores"
    assert crowd.per_s == pytest.approx(2000 / 16, rel=0.01)
    assert crowd.latency_ms == pytest.approx(256 / crowd.per_s * 1000, rel=0.01)
    assert crowd.cores("engine") + crowd.cores("web") < 2


def test_the_load_on_the_same_cores_costs() -> None:
    apart = predict(costs(), KIND, ENGINE, Machine(2, 1, 2), 256)
    here = predict(costs(), KIND, ENGINE, Machine(2, 1, 2), 256, load_here=True)
    assert here.per_s == pytest.approx(apart.per_s * 16 / 16.2, rel=0.001)


@pytest.mark.parametrize(
    ("machine", "limit", "per_s"),
    [
        (Machine(64, 4, 1), "workers", 1000 / 1.5),  # what a worker does beside the engine
        (Machine(64, 1, 64), "web processes", 1000 / 1.5),  # 3 of 4 ms are in two threads
        (Machine(64, 64, 64), "Redis", 1000 / 0.5),
    ],
)
def test_with_many_cores_another_part_ends_first(
    machine: Machine, limit: str, per_s: float
) -> None:
    found = predict(costs(), KIND, accelerator(0.5), machine, 1000)
    assert found.limit == limit
    assert found.per_s == pytest.approx(per_s)


def test_users_who_think_ask_less() -> None:
    found = predict(costs(), KIND, ENGINE, Machine(2, 1, 2), 10, think_ms=10_000)
    assert found.per_s == pytest.approx(1, rel=0.01)
    assert found.latency_ms == pytest.approx(17, rel=0.1)


def test_needs_are_the_costs_times_the_rate_with_room() -> None:
    found = needs(costs(), KIND, ENGINE, 1000)
    assert found.web_cores == 6  # 4 / 0.7
    assert found.shards == 1  # 0.5 * 1.2 / 0.6
    assert found.workers == 12  # 10 / 0.85
    assert found.worker_cores == 14  # 11.5 / 0.85
    assert found.photos_gb == pytest.approx(0.075)
    assert found.wire_gb == pytest.approx(0.3)
    assert found.held_gb == pytest.approx(0.12)


def test_more_than_a_thread_of_redis_is_more_shards() -> None:
    assert needs(costs(), KIND, ENGINE, 10_000).shards == 10
    assert needs(costs(), KIND, ENGINE, 10_000, tcp=False).shards == 9  # 5 / 0.6


def test_the_worker_bounds_an_accelerator() -> None:
    assert needs(costs(), KIND, accelerator(0.1), 1000).workers == 2  # 1.5 / 0.85


def test_ceilings_come_in_the_order_in_which_a_load_meets_them() -> None:
    found = ceilings(costs(), KIND, ENGINE, accelerator(0.5), 2)
    rates = [each.per_s for each in found]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(850 / 11.5)
    assert any(each.what == "one Redis process" and each.per_s == 1000 for each in found)


def test_the_most_users_are_those_who_meet_the_deadline() -> None:
    question = ask(deadline_ms=500.0)
    most = question.most_users(costs())
    assert ask(most).answer(costs()).latency_ms <= 500
    assert ask(most + 2).answer(costs()).latency_ms > 500


def test_an_answer_says_whether_the_deadline_is_met() -> None:
    assert "which meets the deadline of 5,000 ms" in answer_text(ask(8), costs())
    assert "which misses the deadline of 50 ms" in answer_text(ask(8, deadline_ms=50.0), costs())


def seen(per_s: float, mean_ms: float, errors: int = 0) -> Seen:
    """Return what users saw in ten seconds."""
    latencies = [mean_ms] * round(per_s * 10)
    return Seen(10, latencies, {"503": errors} if errors else {}, len(latencies), 1.0, batch=2.0)


@pytest.mark.parametrize(
    ("per_s", "mean_ms", "errors", "good"),
    [
        (100, 80, 0, True),
        (114, 75, 0, True),
        (120, 80, 0, False),  # predicted 17 % too low
        (100, 69, 0, False),
        (100, 80, 1, False),
        (0, 80, 0, False),
    ],
)
def test_a_prediction_holds_within_15_percent_and_without_errors(
    per_s: float, mean_ms: float, errors: int, good: bool
) -> None:
    foretold = Prediction(100.0, 80.0, 2.0, "cores", {}, {})
    text, held = verdict(foretold, seen(per_s, mean_ms, errors))
    assert held is good
    assert ("within 15%: yes" in text) is good


def test_another_machine_cannot_be_checked_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Costs, "read", classmethod(lambda cls: costs()))
    monkeypatch.setattr(sys, "argv", ["capacity", "--users", "8", "--cores", "999", "--check"])
    with pytest.raises(SystemExit):
        capacity.main()
    assert "cannot be checked here" in capsys.readouterr().err

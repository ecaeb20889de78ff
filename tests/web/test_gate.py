"""Who is let in, by a clock that is turned by hand."""

from __future__ import annotations

import pytest

from tests.web.crowd import Crowd


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


def test_a_crowd_is_let_in_until_the_rate_is_known(crowd: Crowd) -> None:
    crowd.come(1000)
    assert crowd.gate.excess_s(0.001) <= 0


def test_the_rate_is_known_within_a_fifth_of_a_second(crowd: Crowd) -> None:
    crowd.come(1000)
    crowd.answer(40, 0.2)
    assert crowd.gate.excess_s(5) > 0


def test_who_would_wait_past_the_deadline_is_refused_by_the_measured_rate(crowd: Crowd) -> None:
    crowd.come(1000)
    crowd.answer(100, 1)  # 100 a second, so 900 take 9 s
    assert crowd.gate.excess_s(5) == pytest.approx(9 - 0.5 * 5, abs=0.1)
    assert crowd.gate.excess_s(20) < 0


def test_items_count_and_not_requests(crowd: Crowd) -> None:
    crowd.come(40, items=16)
    crowd.answer(10, 1)  # 160 items a second, so 480 take 3 s
    assert crowd.gate.excess_s(5) == pytest.approx(3 - 0.5 * 5, abs=0.1)


def test_two_large_answers_at_once_are_not_taken_for_speed(crowd: Crowd) -> None:
    crowd.come(20, items=128)
    for _ in range(5):  # two workers with 100 items a second each
        crowd.answer(1, 2.55)
        crowd.answer(1, 0.01)
        crowd.now += 0.3
        in_hand = 20 * 128 - 256
        crowd.come(2, items=128)
    assert crowd.gate.excess_s(5) >= in_hand / 110 - 0.5 * 5


def test_one_client_after_the_other_is_never_refused(crowd: Crowd) -> None:
    for _ in range(100):
        crowd.now += 30  # one answer in half a minute is no rate
        crowd.come(1)
        crowd.answer(1, 0.02)
        assert crowd.gate.excess_s(0.02) <= 0


def test_the_rate_is_still_known_after_quiet_times(crowd: Crowd) -> None:
    crowd.come(1000)
    crowd.answer(1000, 10)
    crowd.now += 60
    crowd.come(1)
    crowd.answer(1, 1)
    crowd.come(1000)
    assert crowd.gate.excess_s(5) > 0


def test_who_comes_in_bad_times_is_not_refused_for_ever(crowd: Crowd) -> None:
    crowd.come(100)
    crowd.answer(100, 100)
    for _ in range(100):  # now a hundred times as fast, and who is let in keeps coming
        while crowd.gate.excess_s(1) <= 0:
            crowd.come(1)
        crowd.answer(1, 0.01)
    crowd.come(20)
    assert crowd.gate.excess_s(5) <= 0


def test_a_stand_still_is_not_taken_for_slowness(crowd: Crowd) -> None:
    crowd.come(110)
    for _ in range(3):
        for _ in range(20):
            crowd.now += 0.3
            assert crowd.gate.excess_s(5) <= 0
        for _ in range(30):
            crowd.answer(1, 0.01)
            assert crowd.gate.excess_s(5) <= 0


def test_an_engine_that_needs_seconds_is_measured_too(crowd: Crowd) -> None:
    crowd.come(30)
    crowd.answer(5, 10)  # one every two seconds, so 25 take 50 s
    assert crowd.gate.excess_s(40) > 0
    assert crowd.gate.excess_s(120) < 0

"""How one version follows another, with workers that only sleep and a real Redis."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from shared.folder import Shelf, Version
from shared.manifest import Model
from shared.messages import Request
from shared.processes import Child, spawn, stop_all
from shared.queue import Census, Queue
from shared.settings import Settings
from tests.worker.fakes import MODEL, pixels
from worker.crew import Crew
from worker.rollout import Rollout
from worker.trial import Choice, EngineError

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
_REFUSE = [sys.executable, "-c", "import sys; sys.exit(2)"]


class FakeYard:
    """Makes workers that sleep; those of a version in `broken` end at once with status 2."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.unfit: dict[str, str] = {}  # version -> why no engine can serve it
        self.broken: set[str] = set()
        self.tried: list[str] = []
        self.crews: dict[str, Crew] = {}

    def decide(self, model: Model, is_first: bool) -> Choice:
        self.tried.append(model.version)
        if model.version in self.unfit:
            raise EngineError(self.unfit[model.version])
        return Choice("fake", "")

    def crew(self, model: Model, choice: Choice) -> Crew:
        command = _REFUSE if model.version in self.broken else _SLEEP

        def start(place: int, token: str) -> Child:
            return spawn(command)

        self.crews[model.version] = Crew(2, start, lambda token: False)
        return self.crews[model.version]

    def queue(self, model: Model) -> Queue:
        return Queue(self.client, model.queue, Settings())

    def beat(self, version: str) -> None:
        """Let the workers of a version say that they are warm."""
        queue = self.queue(dataclasses.replace(MODEL, version=version))
        for token in self.crews[version].tokens:
            queue.beat(token, {"token": token, "crew": 2})


class Stage:
    """A rollout whose crank is turned by hand."""

    def __init__(self, client: redis.Redis) -> None:
        self.yard = FakeYard(client)
        self.rollout = Rollout("tags", self.yard, max_deadline_s=20.0)
        self.now = 0.0
        self.labels: dict[str, str] = {}

    def turn(self, *versions: str, pinned: bool = False) -> None:
        """Let a second pass with these versions in the folder, the wanted one first.

        "2 new" is version 2 with other files than "2".
        """
        self.now += 1.0
        found = []
        for text in versions:
            number = text.split()[0]
            model = dataclasses.replace(MODEL, version=number)
            found.append(Version(number, ((text, 0, 0, 0),), model))
        self.rollout.look(self.now, Shelf(tuple(found), pinned, self.labels))
        self.rollout.run_once(self.now)

    def turn_until(self, is_so: Callable[[], object], *versions: str, pinned: bool = False) -> None:
        until = time.monotonic() + 5
        while not is_so():
            assert time.monotonic() < until
            self.turn(*versions, pinned=pinned)
            time.sleep(0.01)

    def serve(self, *versions: str, pinned: bool = False) -> None:
        """Bring the first of the versions into service."""
        wanted = versions[0]
        self.turn_until(lambda: wanted in self.yard.crews, *versions, pinned=pinned)
        self.turn(*versions, pinned=pinned)
        self.yard.beat(wanted)
        self.turn(*versions, pinned=pinned)
        assert self.rollout.is_settled

    def running(self) -> set[str]:
        return {version for version, crew in self.yard.crews.items() if crew.children()}


@pytest.fixture
def stage(client: redis.Redis) -> Iterator[Stage]:
    stage = Stage(client)
    yield stage
    stop_all(stage.rollout.children(), patience_s=5)


def test_a_new_version_is_started_beside_the_old_one_which_goes_when_it_is_ready(
    stage: Stage,
) -> None:
    stage.serve("1")
    stage.turn("2", "1")
    stage.turn_until(lambda: "2" in stage.yard.crews, "2", "1")
    for _ in range(20):
        stage.turn("2", "1")
    assert stage.running() == {"1", "2"}, "it is not ready, so the old one stays"
    stage.yard.beat("2")
    stage.turn("2", "1")
    for _ in range(20):
        stage.turn("2", "1")
    assert stage.running() == {"1", "2"}, "the web tier has time to turn"
    stage.turn_until(lambda: stage.running() == {"2"}, "2", "1")
    assert stage.rollout.is_settled


def test_the_old_workers_stay_while_anything_is_in_their_queue(stage: Stage) -> None:
    stage.serve("1")
    stage.yard.beat("1")
    queue = stage.yard.queue(dataclasses.replace(MODEL, version="1"))
    queue.enqueue([Request("a" * 32, pixels(1), 30_000).encode()])
    stage.serve("2", "1")
    for _ in range(30):
        stage.turn("2", "1")
    assert stage.running() == {"1", "2"}
    queue.cancel(["a" * 32])
    queue.take("w", [1.0])
    stage.turn_until(lambda: stage.running() == {"2"}, "2", "1")


def test_a_version_that_no_engine_can_serve_is_refused_until_its_files_change(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.serve("1")
    stage.yard.unfit["2"] = "colors: another likeliest label"
    stage.turn_until(lambda: stage.rollout.refused, "2", "1")
    for _ in range(5):
        stage.turn("2", "1")
    assert stage.yard.tried == ["1", "2"], "it is not tried again"
    assert stage.running() == {"1"}
    (line,) = [record for record in caplog.records if record.message == "version refused"]
    said = vars(line)["fields"]
    assert (said["version"], said["stays"]) == ("2", "1")
    assert said["reason"] == "colors: another likeliest label"
    del stage.yard.unfit["2"]
    stage.turn("2 new", "1")
    stage.turn_until(lambda: "2" in stage.yard.crews, "2 new", "1")


def test_a_version_whose_workers_cannot_load_it_is_refused(stage: Stage) -> None:
    stage.serve("1")
    stage.yard.broken.add("2")
    stage.turn_until(lambda: stage.rollout.refused, "2", "1")
    assert stage.rollout.reasons() == ["tags 2: its worker ended with status 2"]
    stage.turn("2", "1")
    stage.turn_until(lambda: stage.running() == {"1"}, "2", "1")
    assert len(stage.yard.crews["2"].deaths) <= 2, "they are not started again and again"


def test_where_the_highest_version_is_broken_at_the_start_the_next_one_serves(
    stage: Stage,
) -> None:
    stage.yard.unfit["2"] = "broken"
    stage.turn_until(lambda: "1" in stage.yard.crews, "2", "1")
    assert not stage.rollout.is_settled
    stage.turn("2", "1")
    stage.yard.beat("1")
    stage.turn("2", "1")
    assert stage.rollout.serves


def test_where_all_are_broken_it_says_why(stage: Stage) -> None:
    stage.yard.unfit |= {"1": "not read", "2": "not a graph"}
    stage.turn_until(lambda: stage.rollout.is_settled, "2", "1")
    assert not stage.rollout.serves
    assert sorted(stage.rollout.reasons()) == ["tags 1: not read", "tags 2: not a graph"]


def test_a_version_that_is_removed_or_pinned_away_gives_way_to_the_one_before(
    stage: Stage,
) -> None:
    stage.serve("2", "1")
    stage.turn("1")
    stage.serve("1")
    stage.turn_until(lambda: stage.running() == {"1"}, "1")
    stage.turn("2", "1")
    stage.serve("2", "1")
    stage.turn_until(lambda: stage.running() == {"2"}, "2", "1")
    stage.turn("1", "2", pinned=True)
    stage.serve("1", "2", pinned=True)
    stage.turn_until(lambda: stage.running() == {"1"}, "1", "2", pinned=True)


def test_a_pinned_version_that_is_broken_is_not_replaced_by_another(stage: Stage) -> None:
    stage.yard.unfit["1"] = "broken"
    stage.turn_until(lambda: stage.rollout.is_settled, "1", "2", pinned=True)
    assert not stage.rollout.serves


def test_a_pin_to_what_was_refused_is_not_overruled_by_one_that_is_starting(stage: Stage) -> None:
    stage.yard.unfit["1"] = "broken"
    stage.turn_until(lambda: stage.rollout.refused, "1")
    stage.serve("2", "1")
    stage.turn_until(lambda: "3" in stage.yard.crews, "3", "2", "1")
    stage.turn("1", "3", "2", pinned=True)
    stage.yard.beat("3")
    until = time.monotonic() + 5
    while stage.running() != {"2"}:
        assert time.monotonic() < until, "it goes at once: nobody is to turn to it"
        stage.rollout.run_once(stage.now)
        time.sleep(0.01)
    stage.turn("1", "3", "2", pinned=True)
    assert stage.rollout.is_settled
    stage.turn("4", "3", "2", "1")
    stage.turn("4", "3", "2", "1")
    stage.turn("1", "4", "3", "2", pinned=True)
    assert stage.rollout.is_settled, "nor is a trial gone on with"


def test_a_pin_to_the_version_that_is_starting_lets_it_go_on(stage: Stage) -> None:
    stage.serve("1")
    stage.turn_until(lambda: "2" in stage.yard.crews, "2", "1")
    at_the_pin = ("2 at the pin", "1 at the pin")
    for _ in range(3):
        stage.turn(*at_the_pin, pinned=True)
    stage.yard.beat("2")
    stage.turn_until(lambda: stage.running() == {"2"}, *at_the_pin, pinned=True)
    assert stage.yard.tried == ["1", "2"]


def test_a_version_that_is_still_being_copied_is_not_tried(stage: Stage) -> None:
    stage.serve("1")
    for text in ("2 a", "2 b", "2 c", "2 d"):
        stage.turn(text, "1")
    assert stage.yard.tried == ["1"]
    stage.turn_until(lambda: "2" in stage.yard.crews, "2 d", "1")


def test_a_roll_back_in_the_midst_of_the_hand_over_keeps_the_old_workers(stage: Stage) -> None:
    stage.serve("1")
    first = stage.rollout.children()
    stage.turn("2", "1")
    stage.serve("2", "1")
    stage.turn("1")
    stage.yard.beat("1")
    stage.turn("1")
    stage.turn_until(lambda: stage.running() == {"1"}, "1")
    assert stage.rollout.children() == first


def test_a_version_that_is_back_with_other_files_waits_until_its_old_workers_are_gone(
    stage: Stage,
) -> None:
    stage.serve("1")
    stage.turn("2", "1")
    stage.serve("2", "1")
    old = stage.yard.crews["2"]
    stage.turn("1")
    stage.yard.beat("1")
    stage.turn("1")
    stage.turn("2 new", "1")
    for _ in range(5):
        stage.turn("2 new", "1")
    assert stage.yard.tried == ["1", "2"]
    stage.turn_until(lambda: stage.yard.crews["2"] is not old, "2 new", "1")
    assert not old.children(), "two crews of different files would take from one queue"
    stage.turn("2 new", "1")
    stage.yard.beat("2")
    stage.turn("2 new", "1")
    assert stage.rollout.is_settled


def test_files_changed_while_they_served_are_others_when_the_version_is_back(stage: Stage) -> None:
    stage.serve("2", "1")
    old = stage.yard.crews["2"]
    stage.turn("2 new", "1")
    stage.turn("1", "2 new", pinned=True)
    stage.serve("1", "2 new", pinned=True)
    stage.turn("2 new", "1")
    stage.yard.beat("2")
    stage.turn("2 new", "1")
    assert stage.yard.tried == ["2", "1"]
    assert old.children(), "they still serve who names them"
    stage.turn_until(lambda: stage.yard.tried == ["2", "1", "2"], "2 new", "1")


def test_deaths_from_when_it_served_do_not_refuse_a_version_that_is_back(
    stage: Stage, client: redis.Redis
) -> None:
    stage.serve("1")
    stage.turn("2", "1")
    stage.serve("2", "1")
    stage.yard.crews["1"].deaths += [2, 1, 1]
    client.flushall()  # so that it is not ready at the first look
    stage.turn("1")
    stage.turn("1")
    assert stage.rollout.refused == {}
    stage.yard.beat("1")
    stage.turn("1")
    stage.turn_until(lambda: stage.running() == {"1"}, "1")


def test_while_redis_is_away_only_a_worker_that_says_so_refuses_a_version(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(queue: Queue) -> Census:
        raise redis.ConnectionError

    stage.serve("1")
    stage.turn_until(lambda: "2" in stage.yard.crews, "2", "1")
    with monkeypatch.context() as patched:
        patched.setattr(Queue, "census", away)
        stage.yard.crews["2"].deaths += [1, 1, 1]
        stage.turn("2", "1")
        assert stage.rollout.refused == {}
        stage.yard.broken.add("3")
        stage.turn_until(lambda: stage.rollout.refused, "3", "2", "1")
    assert list(stage.rollout.refused) == ["3"]


def test_changes_of_a_version_that_serves_are_said_and_not_taken_up(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.serve("1")
    for _ in range(3):
        stage.turn("1 new")
    assert stage.yard.tried == ["1"]
    assert [record.message.split(":")[0] for record in caplog.records].count(
        "changes of a version that serves are not taken up"
    ) == 1


def test_a_version_with_a_label_stays_for_as_long_as_it_has_it(stage: Stage) -> None:
    stage.labels = {"stable": "1"}
    stage.serve("1")
    stage.serve("2", "1")
    for _ in range(60):
        stage.turn("2", "1")
    assert stage.running() == {"1", "2"}
    assert stage.yard.tried == ["1", "2"]
    stage.labels = {}
    for _ in range(20):
        stage.turn("2", "1")
    assert stage.running() == {"1", "2"}, "who asked for the label is still answered"
    stage.turn_until(lambda: stage.running() == {"2"}, "2", "1")


def test_a_version_that_gets_a_label_is_started_and_does_not_take_over(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stage.serve("3", "2", "1")
    stage.labels = {"stable": "1"}
    stage.turn_until(lambda: "1" in stage.yard.crews, "3", "2", "1")
    stage.turn("3", "2", "1")
    stage.yard.beat("1")
    for _ in range(60):
        stage.turn("3", "2", "1")
    assert stage.running() == {"3", "1"}
    assert stage.rollout.is_settled
    assert "takes over" not in caplog.text
    first = stage.yard.crews["1"].children()
    stage.turn("1")
    stage.yard.beat("1")
    stage.turn("1")
    stage.turn_until(lambda: stage.running() == {"1"}, "1")
    assert stage.yard.crews["1"].children() == first, "it takes over as it is"


def test_a_version_with_a_label_that_is_broken_is_refused_and_no_other_is_held_up(
    stage: Stage,
) -> None:
    stage.yard.broken.add("1")
    stage.labels = {"stable": "1", "gone": "7"}
    stage.serve("2", "1")
    stage.turn_until(lambda: stage.rollout.refused, "2", "1")
    stage.turn_until(lambda: stage.running() == {"2"}, "2", "1")
    for _ in range(60):
        stage.turn("2", "1")
    assert stage.running() == {"2"}
    assert stage.yard.tried == ["2", "1"]
    stage.serve("3", "2", "1")


def test_a_model_that_is_gone_is_ended(stage: Stage) -> None:
    stage.serve("1")
    until = time.monotonic() + 5
    while not stage.rollout.is_over:
        assert time.monotonic() < until
        stage.now += 1
        stage.rollout.end(stage.now)
        stage.rollout.run_once(stage.now)
        time.sleep(0.01)

"""`classifiers`: each network of a model can be asked alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.service import Service
from tests.web.bodies import answer, as_json, form, post, problem, raw

pytestmark = pytest.mark.service


@pytest.mark.parametrize("body", [form, as_json, raw])
@pytest.mark.parametrize("name", ["themes", "colors"])
def test_one_classifier_answers_as_it_does_among_all(
    name: str, body: Callable[..., dict[str, Any]], service: Service, cat: bytes
) -> None:
    both = answer(post(service.url, body(cat, x=220, y=120)))
    alone = answer(post(service.url, body(cat, x=220, y=120, classifiers=name)))
    assert {"themes", "colors"} & set(alone) == {name}
    assert [entry["label"] for entry in alone[name]] == [entry["label"] for entry in both[name]]
    for one, other in zip(alone[name], both[name], strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-3)


def test_all_of_them_in_any_order_are_the_same_as_none_named(service: Service, cat: bytes) -> None:
    named = answer(post(service.url, form(cat, classifiers="colors, themes")))
    assert [name for name in named if name in ("themes", "colors")] == ["themes", "colors"]


def test_each_point_has_only_what_was_asked(service: Service, cat: bytes) -> None:
    points = json.dumps([[220, 120], [5, 5]])
    asked = answer(post(service.url, form(cat, points=points, classifiers="colors")))
    assert [set(point) for point in asked["points"]] == [{"point", "colors"}] * 2


def test_requests_for_different_classifiers_at_once_each_get_their_own(
    service: Service, cat: bytes
) -> None:
    wanted = [None, "colors", "themes", "colors,themes"] * 12

    def ask(names: str | None) -> tuple[set[str], str | None]:
        fields = {} if names is None else {"classifiers": names}
        found = answer(post(service.url, form(cat, x=220, y=120, **fields)))
        if "themes" in found:
            assert found["themes"][0]["label"] == "Cats"
        return {"themes", "colors"} & set(found), names

    with ThreadPoolExecutor(24) as pool:
        for found, names in pool.map(ask, wanted):
            assert found == (set(names.split(",")) if names else {"themes", "colors"})


@pytest.mark.parametrize("names", ["", "colours", "colors,", "colors,shapes", "Colors"])
def test_an_unknown_classifier_is_422_and_says_which_there_are(
    names: str, service: Service, cat: bytes
) -> None:
    response = requests.post(
        f"{service.url}/predict", params={"classifiers": names}, data=cat, timeout=10
    )
    assert "but themes, colors" in problem(response, 422, "bad-parameter")["detail"]


def test_names_that_are_no_text_are_422(service: Service, cat: bytes) -> None:
    problem(post(service.url, as_json(cat, classifiers=["colors"])), 422, "bad-parameter")

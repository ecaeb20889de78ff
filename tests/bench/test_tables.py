"""The page that a run is written as."""

from __future__ import annotations

from bench.compare import costs, report, tables, targets
from bench.compare.figures import BareRow, OpenRow, Recovery, Results, Spread
from tests.bench.test_figures import row


def results() -> Results:
    """Return a run of two rounds with two servers."""
    ours = "Batchpoint, session"
    return Results(
        about={"command": "make bench"},
        batches={"session": {"1": 90.0, "2": 100.0}},
        bare=[BareRow(n, "session", "640x480", 100.0, 3.0, 10.0) for n in (1, 2)],
        rows=[
            row(1, 90, 100, ours),
            row(2, 92, 100, ours),
            row(1, 80, 100, "mosec"),
            row(2, 82, 100, "mosec"),
        ],
        open=[
            OpenRow(1, ours, 10, 900.0, 88.0, 100.0, 200.0, 0.3, {"503": 7}),
            OpenRow(2, ours, 10, 900.0, 90.0, 100.0, 200.0, 0.3, {"503": 5, "too late": 1}),
        ],
        recovery=[Recovery(1, ours, 20.0, 21.0, {"web": 0.05})],
        failures=["round 2: LitServe did not start"],
    )


def test_a_figure_shows_its_median_and_its_ends() -> None:
    assert tables.ranged(Spread(0.9, 0.85, 0.95)) == "0.90 (0.85 to 0.95)"
    assert tables.ranged(Spread(float("nan"), 0, 1)) == "-"


def test_shares_have_a_line_per_server_and_a_column_per_load() -> None:
    lines = tables.shares(results(), "640x480").splitlines()
    assert lines[0] == "| 640x480 | 16 clients |"
    assert lines[2] == "| Batchpoint, session | 0.91 (0.90 to 0.92) |"
    assert lines[3] == "| mosec | 0.81 (0.80 to 0.82) |"


def test_pairs_show_how_far_ours_is_ahead() -> None:
    assert (
        tables.pairs(results(), "640x480").splitlines()[2]
        == "| Batchpoint, session, less mosec | 0.10 (0.10 to 0.10); x 1.12 |"
    )


def test_the_cost_of_our_parts_adds_up_to_what_was_used() -> None:
    parts = costs.parts(results(), "640x480", 16)["Batchpoint, session"]
    assert parts["HTTP"] == 1.0 - 3.0  # the web tier's, without decode; the figures are made up
    assert sum(parts.values()) == 3.0


def test_a_target_is_reached_or_not_by_its_median() -> None:
    found = {target.what: target for target in targets.targets(results())}
    share = found["Batchpoint, session: share of its bare, clients: 16"]
    assert (share.shown, share.reached) == ("0.91 (0.90 to 0.92)", False)
    after = found["Batchpoint, session: p50 5 s after / before"]
    assert (after.measured, after.reached) == (21 / 20, True)
    assert not [what for what in found if "256" in what]  # not measured, so not in the table


def test_errors_of_all_rounds_are_added_up_and_shown() -> None:
    text = tables.open_loads(results())
    assert "12 x 503, 1 x too late" in text


def test_the_page_has_every_part_and_says_what_failed() -> None:
    page = report.page(results())
    for part in ("## `bare`", "## Shares", "## Open loop", "LitServe did not start", "make bench"):
        assert part in page

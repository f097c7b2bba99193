"""The command: JSON, table, and one line for every kind of bad input."""

import io
import json
import sys
from types import SimpleNamespace

import pytest

from backend.analyze import main

COUNTS = {
    "reward": {"type": "binary"},
    "arms": [
        {"arm_key": "a", "decisions": 2, "rewards": 2, "reward_sum": 1, "reward_sum_squares": 1},
        {"arm_key": "b", "decisions": 0, "rewards": 0, "reward_sum": 0, "reward_sum_squares": 0},
    ],
}


@pytest.fixture
def analyzed(tmp_path, capsys):
    """Runs the command on a document; gives status, output and errors."""

    def run(document, *flags):
        file = tmp_path / "counts.json"
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        status = main(["--counts", str(file), *flags])
        return (status, *capsys.readouterr())

    return run


def test_json_by_hand(analyzed):
    """Beta(2, 2) beside a uniform: both have mean 1/2, so each is best with probability 1/2.

    F_max(x) = (3 x^2 - 2 x^3) x, so E[max] = 1 - (3/4 - 2/5) = 0.65 and both lose 0.15.
    """
    status, output, _ = analyzed(COUNTS, "--json")

    document = json.loads(output)
    a, b = document["arms"]
    assert status == 0
    assert (a["arm_key"], a["decisions"], a["rewards"], a["reward_sum"]) == ("a", 2, 2, 1.0)
    assert (a["reward_mean"], b["reward_mean"]) == (0.5, None)
    assert a["probability_best"] == pytest.approx(0.5)
    assert [a["expected_loss"], b["expected_loss"]] == pytest.approx([0.15, 0.15])
    assert b["credible_interval"] == pytest.approx([0.025, 0.975])
    assert b["confidence_sequence"] == [None, None]
    assert document["value_remaining"]["quantile"] == 0.95
    assert document["recommendation"]["action"] == "keep_running"


def test_a_winner(analyzed):
    """10% against 20% of 10,000: 14 standard errors of 0.0071 apart."""
    arms = [
        {"arm_key": key, "decisions": 10_000, "rewards": 9_000, "reward_sum": total}
        for key, total in (("old", 1000), ("new", 2000))
    ]
    status, output, _ = analyzed({**COUNTS, "arms": arms}, "--json")

    document = json.loads(output)
    assert status == 0
    assert document["arms"][1]["reward_mean"] == 0.2
    assert document["recommendation"]["action"] == "ship"
    assert document["recommendation"]["arm_key"] == "new"
    assert "better than every other arm" in document["recommendation"]["reason"]


def test_decisions_without_a_reward_can_be_left_out(analyzed):
    """500 of 1,000 decisions have a reward, 100 of those are 1: 0.1 with the default 0, 0.2 without one."""
    arm = {"decisions": 1000, "rewards": 500, "reward_sum": 100, "reward_sum_squares": 100}
    arms = [{"arm_key": key, **arm} for key in "ab"]
    means = [
        json.loads(analyzed({"reward": reward, "arms": arms}, "--json")[1])["arms"][0][
            "reward_mean"
        ]
        for reward in ({"type": "count"}, {"type": "count", "default_reward": None})
    ]

    assert means == [0.1, 0.2]


@pytest.mark.parametrize(
    "reward",
    [{"type": "count"}, {"type": "continuous"}, {"type": "continuous", "min": 0, "max": 1}],
)
def test_every_kind_of_reward(analyzed, reward):
    arm = {"decisions": 400, "rewards": 400, "reward_sum": 200, "reward_sum_squares": 200}
    arms = [{"arm_key": key, **arm} for key in "ab"]

    document = json.loads(analyzed({"reward": reward, "arms": arms}, "--json")[1])

    for arm in document["arms"]:
        low, high = arm["confidence_sequence"]
        assert low < 0.5 < high
        assert arm["probability_best"] == pytest.approx(0.5)


def test_a_table_for_people(analyzed):
    status, output, _ = analyzed(COUNTS)

    lines = output.splitlines()
    assert status == 0
    assert lines[0].split()[:3] == ["arm", "decisions", "mean"]
    assert lines[1].split()[:3] == ["a", "2", "0.5"]
    assert lines[2].split()[:3] == ["b", "0", "-"]
    assert "value remaining, 95%: " in output
    assert "recommendation: keep_running" in output


def test_the_table_names_the_arm_to_ship(analyzed):
    arm = {"decisions": 10_000, "rewards": 10_000}
    arms = [{"arm_key": "x", **arm, "reward_sum": 9}, {"arm_key": "y", **arm, "reward_sum": 5000}]

    assert "recommendation: ship y\n" in analyzed({**COUNTS, "arms": arms})[1]


def test_means_that_may_be_negative_have_no_relative_bound(analyzed):
    arm = {"decisions": 9, "rewards": 9, "reward_sum": 0, "reward_sum_squares": 90}
    arms = [{"arm_key": key, **arm} for key in "ab"]

    output = analyzed({"reward": {"type": "continuous"}, "arms": arms})[1]

    assert "no bound relative to the mean" in output


def test_standard_input(monkeypatch, capsys):
    text = json.dumps(COUNTS).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))

    assert main(["--counts", "-", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["arms"]) == 2


def test_bad_input_is_one_line(analyzed):
    status, output, error = analyzed("{")

    assert (status, output) == (2, "")
    assert error.startswith("analyze: ")
    assert "counts.json: line 1 column 2: is not JSON" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": 3}, "arms[0].rewards: must be at most decisions, 2, got 3\n"),
        ({"decisions": -1, "rewards": -1}, "(and 2 more fields to mend)\n"),
        ({"rewards": 3, "decisions": 2.5}, "(and 1 more field to mend)\n"),
    ],
)
def test_bad_numbers_are_told_with_their_place(analyzed, change, message):
    arms = [{**COUNTS["arms"][0], **change}, COUNTS["arms"][1]]

    status, _, error = analyzed({**COUNTS, "arms": arms})

    assert status == 2
    assert message in error
    assert error.count("\n") == 1


def test_a_file_that_is_not_there(capsys, tmp_path):
    assert main(["--counts", str(tmp_path / "nothing.json")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_standard_input_is_named_in_errors(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))

    assert main(["--counts", "-"]) == 2
    assert "analyze: standard input: line 1 column 1" in capsys.readouterr().err


def test_help_says_the_priors(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])

    assert "Beta(1, 1)" in capsys.readouterr().out

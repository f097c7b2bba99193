"""Counts as JSON: what is read, and that every contradiction is named with its place."""

import json

import pytest

from backend.domain import RewardType
from backend.errors import InvalidInput
from backend.service.counts_file import read_counts


def document(reward=None, **changes):
    """Two arms; ``changes`` go into the second, None takes a field away."""
    arms = [
        {
            "arm_key": key,
            "decisions": 100,
            "rewards": 80,
            "reward_sum": 12,
            "reward_sum_squares": 12,
        }
        for key in "ab"
    ]
    arms[1] = {name: value for name, value in {**arms[1], **changes}.items() if value is not None}
    return json.dumps({"reward": reward or {"type": "binary"}, "arms": arms}).encode()


def errors(text):
    with pytest.raises(InvalidInput) as caught:
        read_counts(text)
    return caught.value.errors


def test_binary():
    counts = read_counts(document(reward_sum=13, reward_sum_squares=None))

    assert counts.arm_keys == ("a", "b")
    assert counts.reward.type is RewardType.BINARY
    assert counts.reward.default_reward == 0.0
    assert counts.statistics.to_matrix().tolist() == [[100, 80, 12, 12], [100, 80, 13, 13]]


def test_fields_of_results_may_stay():
    assert read_counts(document(probability_best=0.5)).arm_keys == ("a", "b")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (None, None, 0.0)),
        ({"min": -1, "max": 5}, (-1, 5, 0.0)),
        ({"min": 0.1}, (0.1, None, None)),
        ({"default_reward": None}, (None, None, None)),
        ({"default_reward": 2.5}, (None, None, 2.5)),
    ],
)
def test_continuous_rewards_have_the_bounds_they_are_given(fields, expected):
    """Without a default it is 0, unless 0 is no possible reward."""
    reward = read_counts(document({"type": "continuous", **fields})).reward

    assert (reward.min, reward.max, reward.default_reward) == expected


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (b'{"reward": ', "line 1 column 12", "not JSON"),
        (b"[]", "document", "object"),
        (b"{}", "reward", "object"),
        (b'{"reward": {"type": "binary"}}', "arms", "2 to 1000"),
        (b'{"reward": {"type": "binary"}, "arms": [{}]}', "arms", "2 to 1000"),
        (b'{"reward": {"type": "binary"}, "arms": [1, 2]}', "arms[0]", "object"),
        (document({"type": "money"}), "reward.type", "binary, count or continuous"),
        (document({"type": ["binary"]}), "reward.type", "binary, count or continuous"),
        (document({"kind": "binary"}), "reward.kind", "not known"),
        (document({"type": "continuous", "min": "0"}), "reward.min", "null or a number"),
        (document({"type": "continuous", "min": 1, "max": 1}), "reward.min", "below reward.max"),
        (document({"type": "binary", "default_reward": 0.5}), "reward.default_reward", "0 or 1"),
        (document(arm_key="a"), "arms[1].arm_key", "also that of arms[0]"),
        (document(arm_key=""), "arms[1].arm_key", "not empty"),
        (document(arm_key=7), "arms[1].arm_key", "string"),
        (document(decisions=None), "arms[1].decisions", "missing"),
        (document(decisions=True), "arms[1].decisions", "must be a number of at most 1e+12"),
        (document(decisions=1e13), "arms[1].decisions", "must be a number of at most 1e+12"),
        (document(decisions=100.5), "arms[1].decisions", "integer >= 0"),
        (document(rewards=-1), "arms[1].rewards", "integer >= 0"),
        (document(rewards=101), "arms[1].rewards", "at most decisions, 100"),
        (
            document(reward_sum=81, reward_sum_squares=81),
            "arms[1].reward_sum",
            "at most rewards, 80",
        ),
        (document(reward_sum=1.5, reward_sum_squares=1.5), "arms[1].reward_sum", "integer >= 0"),
        (
            document(reward_sum_squares=13),
            "arms[1].reward_sum_squares",
            "must equal reward_sum, 12",
        ),
        (document({"type": "count"}, reward_sum=-3), "arms[1].reward_sum", "integer >= 0"),
        (
            document({"type": "count"}, reward_sum_squares=None),
            "arms[1].reward_sum_squares",
            "missing",
        ),
        (
            document({"type": "continuous"}, reward_sum=40, reward_sum_squares=19),
            "arms[1].reward_sum_squares",
            "reward_sum squared / rewards, 20",
        ),
        (document({"type": "continuous"}, rewards=0), "arms[1].reward_sum", "0 without rewards"),
        (
            document({"type": "continuous"}, rewards=0, reward_sum=0),
            "arms[1].reward_sum_squares",
            "0 without rewards",
        ),
        (
            document({"type": "continuous", "min": 0}, reward_sum=-1),
            "arms[1].reward_sum",
            "at least",
        ),
        (document({"type": "continuous", "max": 0.1}), "arms[0].reward_sum", "at most"),
    ],
)
def test_refusals(text, path, message):
    assert message in " ".join(errors(text)[path])


def test_sums_of_large_rewards():
    """A thousand million decisions worth a million each."""
    n, total = 10**9, 10**15
    counts = read_counts(
        document(
            {"type": "continuous"},
            decisions=n,
            rewards=n,
            reward_sum=total,
            reward_sum_squares=1.5e21,
        )
    )

    assert counts.statistics.reward_sum_squares[1] == 1.5e21


def test_all_fields_to_mend_are_named():
    assert set(errors(document(rewards=101, reward_sum=-1))) == {
        "arms[1].rewards",
        "arms[1].reward_sum",
        "arms[1].reward_sum_squares",
    }

"""What a worker adds up from hours it read, in whatever order it read them."""

from datetime import UTC, datetime
from itertools import permutations

from backend.domain import Arm, Experiment
from backend.service.snapshot import _Sums

EXPERIMENT = Experiment(
    key="test", name="test", arms=(Arm("a", "a"), Arm("b", "b")), experiment_id=1
)


def hour(number: int, reward_sum: float) -> dict[str, object]:
    return {
        "experiment_id": 1,
        "block": datetime(2026, 1, 1, number, tzinfo=UTC),
        "arm_id": 0,
        "decisions": 1.0,
        "rewards": 1.0,
        "reward_sum": reward_sum,
        "reward_sum_squares": reward_sum**2,
    }


def test_workers_agree_to_the_last_bit():
    """(0.1 + 0.2) + 0.3 and 0.1 + (0.2 + 0.3) differ as doubles; the order of reading must not matter."""
    totals = set()
    for order in permutations([hour(0, 0.1), hour(1, 0.2), hour(2, 0.3)]):
        sums = _Sums()
        for row in order:
            sums.update(("0", [row]))
        totals.add(sums.totals(EXPERIMENT).reward_sum[0])

    assert totals == {0.1 + 0.2 + 0.3}


def test_an_hour_read_again_replaces_what_was_read_before():
    """Read whole, so nothing counts twice."""
    sums = _Sums()
    sums.update(("0", [hour(0, 1.0)]))
    sums.update(("5", [hour(0, 2.5)]))

    assert sums.totals(EXPERIMENT).reward_sum.tolist() == [2.5, 0.0]
    assert sums.horizon == "5"

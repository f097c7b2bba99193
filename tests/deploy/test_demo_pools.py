"""Drawing the trial's people without replacement."""

from random import Random

import pytest

from deploy_cli.demo.pools import Pool, Pools
from deploy_cli.demo.trial import ARMS, experiment

TABLE_2 = {
    "control": (191_243, 56_799),
    "civic-duty": (38_218, 12_039),
    "hawthorne": (38_204, 12_302),
    "self": (38_218, 13_185),
    "neighbors": (38_201, 14_440),
}
"""People, and people times the printed turnout: 191,243 * 0.297 = 56,799.2; 38,218 * 0.315 =
12,038.7; 38,204 * 0.322 = 12,301.7; 38,218 * 0.345 = 13,185.2; 38,201 * 0.378 = 14,440.0."""


def draw_all(pool: Pool, rng: Random) -> int:
    return sum(pool.draw(rng) for _ in range(pool.people_left))


def test_the_arms_are_table_2s():
    assert {arm.key: (arm.people, arm.voters) for arm in ARMS} == TABLE_2
    assert sum(arm.people for arm in ARMS) == 344_084


@pytest.mark.parametrize("arm_key", list(TABLE_2))
@pytest.mark.parametrize("seed", [1, 2])
def test_exhausting_an_arm_gives_exactly_its_voters(arm_key, seed):
    """Whatever the order of the draws: there is no randomness in the total."""
    people, voters = TABLE_2[arm_key]
    pool = Pools({})[arm_key]

    assert pool.people_left == people
    assert draw_all(pool, Random(seed)) == voters
    assert (pool.people_left, pool.voters_left) == (0, 0)


def test_at_no_time_more_voters_than_people_are_left():
    pool = Pool(people_left=200, voters_left=190)
    rng = Random(3)

    while pool.people_left:
        pool.draw(rng)
        assert 0 <= pool.voters_left <= pool.people_left


def test_the_first_drawn_is_a_voter_as_often_as_there_are_voters():
    """P = 3/10; over 20,000 fresh pools the standard error is 0.0032, so 0.016 is 5 of them."""
    rng = Random(4)

    share = sum(Pool(10, 3).draw(rng) for _ in range(20_000)) / 20_000

    assert share == pytest.approx(0.3, abs=0.016)


def test_nobody_is_left_to_draw():
    with pytest.raises(ValueError, match="empty range"):
        Pool(0, 0).draw(Random(5))


def test_a_later_run_goes_on_where_the_last_one_ended():
    """3,000 people of whom 1,100 voted are gone; the rest completes table 2 exactly."""
    pools = Pools({"neighbors": (3_000, 1_100)})

    assert pools.people_left() == 344_084 - 3_000
    assert draw_all(pools["neighbors"], Random(6)) == 14_440 - 1_100


def test_lost_outcomes_never_make_more_voters_than_people():
    """Decided and never rewarded: 38,200 are gone, of whom only 14,000 voters were counted."""
    pool = Pools({"neighbors": (38_200, 14_000)})["neighbors"]

    assert (pool.people_left, pool.voters_left) == (1, 1)


def test_more_decisions_than_people_leave_nobody():
    pools = Pools({key: (people + 5, voters) for key, (people, voters) in TABLE_2.items()})

    assert pools.people_left() == 0
    assert pools.eligible_arms() == []
    assert pools.safe_batch() == 0


def test_a_used_up_arm_is_not_eligible_and_small_ones_bound_the_batch():
    pools = Pools({"neighbors": TABLE_2["neighbors"], "self": (38_218 - 4, 13_000)})

    assert pools.eligible_arms() == ["control", "civic-duty", "hawthorne", "self"]
    assert pools.safe_batch() == 4


def test_the_experiment_has_one_control_and_a_mailing_for_each_arm():
    body = experiment()

    assert [arm["key"] for arm in body["arms"] if arm["is_control"]] == ["control"]
    assert [arm["key"] for arm in body["arms"]] == list(TABLE_2)
    assert all(arm["payload"]["mailing"] for arm in body["arms"])

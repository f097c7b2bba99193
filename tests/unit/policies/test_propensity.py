"""The algebra of floor, control share and eligibility, and the draw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import InvalidPolicy
from backend.policies.propensity import Allocation, allocate, apply_caps, apply_floor, certain

TINY = np.nextafter(0.0, 1.0)
BELOW_ONE = np.nextafter(1.0, 0.0)


def vector(*values):
    return np.array(values, dtype=float)


def everyone(n_arms):
    return np.ones(n_arms, dtype=bool)


weights = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8).filter(lambda w: sum(w) > 1e-6)


def normalized(values):
    return np.array(values) / np.sum(values)


class TestApplyFloor:
    """``floor + (1 - n_arms * floor) * probabilities``"""

    def test_mixes_in_the_floor(self):
        """0.1 + 0.8 * p of two arms: 1 becomes 0.9, 0 becomes 0.1."""
        assert apply_floor(vector(1.0, 0.0), 0.1) == pytest.approx([0.9, 0.1])

    def test_no_floor_changes_nothing(self):
        """Floor 0 is the identity."""
        assert apply_floor(vector(0.3, 0.7), 0.0) == pytest.approx([0.3, 0.7])

    def test_the_highest_floor_is_an_even_split(self):
        """1 / n_arms leaves nothing for the policy: 1/3 each, also where 3 * (1/3) is not quite 1."""
        assert apply_floor(vector(1.0, 0.0, 0.0), 1 / 3) == pytest.approx([1 / 3] * 3)

    @pytest.mark.parametrize("floor", [-0.01, 0.51])
    def test_out_of_range_is_refused(self, floor):
        """Two arms cannot both have more than half."""
        with pytest.raises(InvalidPolicy, match=r"floor must be in \[0, 1/2\]"):
            apply_floor(vector(0.5, 0.5), floor)

    @given(values=weights, share=st.floats(0.0, 1.0))
    def test_laws(self, values, share):
        """Sum 1, nobody below the floor, and the order of arms kept."""
        before = normalized(values)
        floor = share / len(values)

        after = apply_floor(before, floor)

        assert after.sum() == pytest.approx(1.0)
        assert (after >= floor - 1e-12).all()
        assert (np.diff(after[np.argsort(before, kind="stable")]) >= -1e-12).all()


class TestAllocate:
    """Floor first, then the control share, over the eligible arms."""

    def test_floor_then_control_share(self):
        """Floor 0.1: (0.9, 0.1). Control share 0.2: 0.8 of that, and 0.2 for the control: (0.72, 0.28)."""
        found = allocate(
            vector(1.0, 0.0), everyone(2), floor=0.1, control_share=0.2, control_arm_id=1
        )

        assert found.probabilities == pytest.approx([0.72, 0.28])

    def test_arms_that_are_not_eligible_get_nothing(self):
        """The policy's vector over arms 0 and 2, with floor 0.1: 0.1 + 0.8 * (0.25, 0.75) = (0.3, 0.7)."""
        eligible = np.array([True, False, True])

        found = allocate(
            vector(0.25, 0.75), eligible, floor=0.1, control_share=0.0, control_arm_id=None
        )

        assert found.probabilities == pytest.approx([0.3, 0.0, 0.7])

    def test_a_control_that_is_not_eligible_gets_no_share(self):
        """Its share is without effect: the only eligible arm is certain."""
        found = allocate(
            vector(1.0),
            np.array([False, True]),
            floor=0.1,
            control_share=0.5,
            control_arm_id=0,
        )

        assert found.probabilities == pytest.approx([0.0, 1.0])
        assert found.control_arm_id is None

    def test_a_control_share_of_one_is_certain(self):
        """Nothing is left for the policy."""
        found = allocate(
            vector(0.0, 1.0), everyone(2), floor=0.1, control_share=1.0, control_arm_id=0
        )

        assert found.probabilities == pytest.approx([1.0, 0.0])

    @given(values=weights, floor_share=st.floats(0.0, 1.0), control_share=st.floats(0.0, 1.0))
    def test_always_a_distribution(self, values, floor_share, control_share):
        """Sum 1; every arm keeps (1 - control_share) of the floor, the control at least its share."""
        n_arms = len(values)
        floor = floor_share / n_arms

        found = allocate(
            normalized(values),
            everyone(n_arms),
            floor=floor,
            control_share=control_share,
            control_arm_id=0,
        ).probabilities

        assert found.sum() == pytest.approx(1.0)
        assert (found >= (1.0 - control_share) * floor - 1e-12).all()
        assert found[0] >= control_share - 1e-12


class TestDraw:
    """The first arm at which the running sum exceeds the number."""

    def test_intervals_are_closed_below_and_open_above(self):
        """(0.25, 0.5, 0.25): [0, 0.25) is arm 0, [0.25, 0.75) arm 1, [0.75, 1) arm 2."""
        allocation = Allocation(vector(0.25, 0.5, 0.25), None, 0.0)

        drawn = [allocation.draw(u) for u in (0.0, 0.2499, 0.25, 0.7499, 0.75, BELOW_ONE)]

        assert drawn == [0, 0, 1, 1, 2, 2]

    def test_zero_skips_arms_that_cannot_be_chosen(self):
        """The number 0 belongs to the first arm with a probability, not to the first arm."""
        assert Allocation(vector(0.0, 0.0, 1.0), None, 0.0).draw(0.0) == 2

    def test_an_arm_between_is_never_drawn_at_its_border(self):
        """Arm 1 has probability 0, so the number 0.5 belongs to arm 2."""
        assert Allocation(vector(0.5, 0.0, 0.5), None, 0.0).draw(0.5) == 2

    def test_a_sum_that_falls_short_of_one_gives_the_last_possible_arm(self):
        """Ten times 0.1 adds up to 1 - 2^-53 < the largest number below 1 plus rounding; a zero arm follows."""
        probabilities = np.append(np.full(10, 0.1), 0.0)
        allocation = Allocation(probabilities, None, 0.0)
        assert np.cumsum(probabilities)[-1] <= BELOW_ONE

        assert allocation.draw(BELOW_ONE) == 9

    def test_the_least_probability_can_be_drawn(self):
        """An arm with the smallest positive number is drawn by 0, and only by it."""
        allocation = Allocation(vector(TINY, 1.0), None, 0.0)

        assert [allocation.draw(u) for u in (0.0, TINY)] == [0, 1]

    @given(values=weights, number=st.floats(0.0, 1.0, exclude_max=True))
    def test_never_draws_what_has_probability_zero(self, values, number):
        """Whatever the number."""
        allocation = Allocation(normalized(values), None, 0.0)

        assert allocation.probabilities[allocation.draw(number)] > 0.0

    def test_frequencies_follow_the_probabilities(self):
        """The numbers (i + 1/2) / 1000 cover [0, 1) evenly: of them 100, 0, 700 and 200 fall to the arms."""
        allocation = Allocation(vector(0.1, 0.0, 0.7, 0.2), None, 0.0)

        drawn = [allocation.draw((i + 0.5) / 1000) for i in range(1000)]

        assert np.bincount(drawn).tolist() == [100, 0, 700, 200]


class TestControlShare:
    """Which draws of the control arm are its fixed share."""

    def test_is_the_start_of_the_controls_interval(self):
        """Arm 0 has 0.4; the control's interval is [0.4, 1), of which [0.4, 0.6) is its share of 0.2."""
        allocation = allocate(
            vector(0.5, 0.5), everyone(2), floor=0.0, control_share=0.2, control_arm_id=1
        )

        answers = [
            allocation.is_control_share(allocation.draw(u), u) for u in (0.3, 0.41, 0.59, 0.61)
        ]

        assert answers == [False, True, True, False]

    def test_has_exactly_its_probability(self):
        """Of 1,000 evenly spaced numbers 200 fall into a share of 0.2."""
        allocation = allocate(
            vector(0.5, 0.5), everyone(2), floor=0.0, control_share=0.2, control_arm_id=0
        )
        numbers = [(i + 0.5) / 1000 for i in range(1000)]

        assert sum(allocation.is_control_share(allocation.draw(u), u) for u in numbers) == 200


def test_certain_gives_one_arm():
    """Probability 1, whatever the number."""
    allocation = certain(1, 3)

    assert allocation.probabilities.tolist() == [0.0, 1.0, 0.0]
    assert [allocation.draw(u) for u in (0.0, 0.5, BELOW_ONE)] == [1, 1, 1]
    assert not allocation.is_control_share(1, 0.0)


class TestCaps:
    """Most that an arm may get."""

    def test_the_excess_goes_to_the_others_in_proportion(self):
        """0.6 is held to 0.2; 0.8 is left for 0.3 and 0.1: 0.6 and 0.2."""
        capped = apply_caps(vector(0.6, 0.3, 0.1), vector(0.2, 1.0, 1.0))

        assert capped == pytest.approx([0.2, 0.6, 0.2])

    def test_what_the_excess_pushes_over_its_own_cap_is_held_too(self):
        """0.6 to 0.2 gives 0.6 to the second, which may have 0.5: 0.3 is left for the third."""
        capped = apply_caps(vector(0.6, 0.3, 0.1), vector(0.2, 0.5, 1.0))

        assert capped == pytest.approx([0.2, 0.5, 0.3])

    def test_an_arm_that_the_policy_gives_nothing_takes_what_nobody_else_may(self):
        """All on the first, which may have 0.2."""
        assert apply_caps(vector(1.0, 0.0, 0.0), vector(0.2, 1.0, 1.0)) == pytest.approx(
            [0.2, 0.4, 0.4]
        )

    def test_caps_that_cannot_all_hold_are_kept_in_proportion(self):
        """0.1 and 0.3 of the only two arms: 1/4 and 3/4; all at 0: even."""
        assert apply_caps(vector(0.5, 0.5), vector(0.1, 0.3)) == pytest.approx([0.25, 0.75])
        assert apply_caps(vector(0.9, 0.1), vector(0.0, 0.0)) == pytest.approx([0.5, 0.5])

    @given(weights=weights, data=st.data())
    def test_gives_a_distribution_below_the_caps(self, weights, data):
        """Whatever the vector, if the caps leave room for it."""
        probabilities = vector(*weights) / sum(weights)
        caps = data.draw(
            st.lists(st.floats(0.0, 1.0), min_size=len(weights), max_size=len(weights))
        )
        capped = apply_caps(probabilities, vector(*caps))

        assert capped.sum() == pytest.approx(1.0)
        assert (capped >= 0.0).all()
        if sum(caps) > 1.0:
            assert (capped <= vector(*caps) * (1 + 1e-9)).all()

    def test_the_smallest_of_numbers_takes_what_is_left(self):
        """5e-324 is all that the policy gives to the only arm that may have more."""
        assert apply_caps(vector(TINY, 1.0), vector(1.0, 0.5)) == pytest.approx([0.5, 0.5])

    def test_a_cap_goes_before_the_floor_and_the_control_share_on_top(self):
        """Floor 0.1, cap 0.05, share 0.5 of the control: 0.5 + 0.5 * 0.05 and the rest."""
        allocation = allocate(
            vector(0.0, 1.0),
            everyone(2),
            floor=0.1,
            control_share=0.5,
            control_arm_id=0,
            caps=vector(0.05, 1.0),
        )

        assert allocation.probabilities == pytest.approx([0.525, 0.475])

"""Units that keep their arm: on every worker, as long as they should, under the numbers of the first draw."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import ADMIN_KEY, Api


def sticky(api, kind="forever", n_arms=10, **allocation):
    """A uniform experiment of ten arms: a fresh draw repeats the arm before with probability 1/10."""
    api.running(
        n_arms=n_arms,
        policy={"type": "uniform"},
        allocation={"stickiness": kind, **allocation},
    )


def arms_of(api, n, unit_id="unit"):
    elements = [{"experiment_key": "test", "unit_id": unit_id}] * n
    results = [
        api.post("/decisions:batch", {"decisions": [element]}).json["results"][0]
        for element in elements
    ]
    return [result["decision"]["arm_key"] for result in results]


def test_none_draws_every_time(api):
    """Thirty equal draws of ten arms have a probability of 10^-29."""
    sticky(api, "none")

    assert len(set(arms_of(api, 30))) > 1


def test_forever_keeps_the_arm(api, other_api):
    """Thirty requests to two workers."""
    sticky(api)

    assert len(set(arms_of(api, 15) + arms_of(other_api, 15))) == 1


def test_units_are_drawn_apart(api):
    """Thirty units of ten arms do not all get the same one."""
    sticky(api)

    assert len({api.decide(unit_id=f"u{i}")["arm_key"] for i in range(30)}) > 1


def test_a_batch_keeps_the_arm_too(api, differences):
    """Thirty elements of one unit that is new: one draws, the others keep."""
    sticky(api)
    element = {"experiment_key": "test", "unit_id": "unit"}

    answer = api.post("/decisions:batch", {"decisions": [element] * 30})

    decisions = [result["decision"] for result in answer.json["results"]]
    assert len({decision["arm_key"] for decision in decisions}) == 1
    assert [decision["reason"] for decision in decisions] == ["policy", *["sticky"] * 29]
    assert differences() == []


def test_a_kept_arm_carries_the_numbers_of_its_draw(api):
    """Probabilities, propensity and policy version of the first decision, although the vector has changed since."""
    sticky(api)
    first = api.decide()
    api.patch("/experiments/test", {"allocation": {"control_share": 0.5}})

    kept = api.decide()

    assert kept["reason"] == "sticky"
    assert kept["decision_id"] != first["decision_id"]
    for name in ("arm_key", "propensity", "probabilities", "policy_version"):
        assert kept[name] == first[name]
    assert api.decide(unit_id="new")["probabilities"]["a"] == pytest.approx(0.55)


def test_a_kept_arm_names_the_decision_that_drew_it(api):
    """And its explanation recomputes that one."""
    sticky(api)
    first, kept = api.decide(), api.decide()

    logged = api.get(f"/decisions/{kept['decision_id']}").json
    explained = api.get(f"/decisions/{kept['decision_id']}/explain").json

    assert logged["sticky_decision_id"] == first["decision_id"]
    assert explained["sticky_decision_id"] == first["decision_id"]
    assert explained["is_reproduced"] is True


def test_fifty_first_requests_at_once_get_one_arm(api, app, other_app, differences):
    """Fifty threads of two workers ask for a unit nobody knows: one draws, all answer its arm."""
    sticky(api)
    other_app.test_client().get("/api/readyz")

    def work(i):
        caller = Api((app, other_app)[i % 2].test_client(), ADMIN_KEY)
        return caller.decide()

    with ThreadPoolExecutor(50) as pool:
        decisions = list(pool.map(work, range(50)))

    assert len({decision["arm_key"] for decision in decisions}) == 1
    assert [decision["reason"] for decision in decisions].count("policy") == 1
    assert differences() == []


def test_ttl_keeps_the_arm_for_its_time(api, query):
    """An hour: kept inside, drawn afresh after; the new arm is kept again."""
    sticky(api, "ttl", sticky_ttl_s=3600)
    first = api.decide()
    assert api.decide()["reason"] == "sticky"

    query("UPDATE assignments SET expires_at = now() - interval '1 second'")

    again = api.decide()
    assert again["reason"] == "policy"
    assert again["decision_id"] != first["decision_id"]
    assert api.decide()["arm_key"] == again["arm_key"]


def test_ttl_ends_when_it_says(api, query):
    """The end is ttl seconds after the decision."""
    sticky(api, "ttl", sticky_ttl_s=3600)
    api.decide()

    found = query(
        "SELECT extract(epoch FROM a.expires_at - d.decided_at)::float8 AS ttl_s"
        " FROM assignments a JOIN decisions d USING (decision_id)"
    )

    assert found == [{"ttl_s": 3600.0}]


def test_until_reward_draws_afresh_after_a_reward(api):
    """Kept until the reward came."""
    sticky(api, "until_reward")
    first = api.decide()
    assert api.decide()["reason"] == "sticky"

    api.reward(first["decision_id"], 1)

    assert api.decide()["reason"] == "policy"
    assert api.decide()["reason"] == "sticky"


def test_until_reward_is_ended_by_the_reward_of_a_kept_decision(api):
    """The unit was rewarded, whichever of its decisions the reward names."""
    sticky(api, "until_reward")
    api.decide()
    kept = api.decide()

    api.reward(kept["decision_id"], 1)

    assert api.decide()["reason"] == "policy"


def test_until_reward_is_not_ended_by_other_rewards(api):
    """Neither by a secondary metric, nor by another unit's, nor by an old one sent again."""
    sticky(api, "until_reward")
    first, other = api.decide(), api.decide(unit_id="other")
    api.reward(first["decision_id"], 5, metric="latency")
    api.reward(other["decision_id"], 1)
    assert api.decide()["reason"] == "sticky"
    api.reward(first["decision_id"], 1)
    api.decide()

    api.reward(first["decision_id"], 1)

    assert api.decide()["reason"] == "sticky"


@pytest.mark.parametrize("status", ["paused", "retired"])
def test_an_arm_out_of_play_is_not_kept(api, status):
    """Its units are drawn afresh, marked with the decision that had drawn before, and keep what they get then."""
    sticky(api)
    first = api.decide()
    api.patch(f"/experiments/test/arms/{first['arm_key']}", {"status": status})

    again = api.decide()

    then = api.decide()
    assert again["reason"] == "policy"
    assert again["arm_key"] != first["arm_key"]
    assert again["redrawn_from"] == first["decision_id"]
    assert (then["arm_key"], then["redrawn_from"]) == (again["arm_key"], None)
    assert (
        api.get(f"/decisions/{again['decision_id']}").json["redrawn_from"] == first["decision_id"]
    )


def test_a_request_that_does_not_allow_the_kept_arm_gets_its_own_draw(api):
    """And leaves the unit its arm for the next time."""
    sticky(api)
    first = api.decide()
    others = [key for key in first["probabilities"] if key != first["arm_key"]]

    elsewhere = api.decide(eligible_arms=others)

    assert elsewhere["arm_key"] in others
    assert elsewhere["reason"] == "policy"
    assert api.decide()["arm_key"] == first["arm_key"]


def test_a_pause_leaves_the_units_their_arms(api):
    """Paused, all get the control; then each has its own again."""
    sticky(api)
    first = api.decide(eligible_arms=["b"])
    api.post("/experiments/test/pause")
    assert api.decide()["reason"] == "paused"

    api.post("/experiments/test/start")

    assert api.decide()["arm_key"] == first["arm_key"] == "b"


def test_a_kept_arm_is_answered_with_the_arms_of_now(api):
    """An arm that was added since has probability 0 in the vector of the draw, also when it is read back."""
    sticky(api, n_arms=2)
    first = api.decide()
    api.post("/experiments/test/arms", {"key": "z"})

    kept = api.decide()

    assert kept["probabilities"] == {**first["probabilities"], "z": 0.0}
    assert (
        api.get(f"/decisions/{kept['decision_id']}").json["probabilities"] == kept["probabilities"]
    )


def test_a_worker_that_does_not_know_the_kept_arm_yet_answers_it(api, deaf_api):
    """The arm was added, and drawn for the unit, behind its back."""
    sticky(api, n_arms=2)
    deaf_api.decide(unit_id="before")
    api.post("/experiments/test/arms", {"key": "z"})
    api.decide(eligible_arms=["z"])

    kept = deaf_api.decide()

    assert (kept["arm_key"], kept["reason"]) == ("z", "sticky")


def test_a_worker_that_does_not_know_a_new_arm_yet_answers_the_kept_one(api, deaf_api):
    """The kept arm is an old one, but was drawn from a vector with the new arm."""
    sticky(api, n_arms=2)
    deaf_api.decide(unit_id="before")
    api.post("/experiments/test/arms", {"key": "z"})
    first = api.decide(eligible_arms=["a"])

    kept = deaf_api.decide()

    assert (kept["arm_key"], kept["probabilities"]) == ("a", first["probabilities"])

"""Nothing is counted twice or left behind: exact sums, lost acknowledgements, changes that change nothing."""

import pytest

from backend.errors import StoreUnavailable


def test_a_retracted_giant_leaves_no_trace(api, differences):
    """15 rewards of 3 have the squares 135; beside 1e12, whose square is 1e24, doubles would lose them all."""
    api.running(reward={"type": "continuous"})
    giant = api.decide()
    api.reward(giant["decision_id"], 1e12)
    for _ in range(15):
        api.reward(api.decide()["decision_id"], 3)

    assert api.delete(f"/rewards/{giant['decision_id']}").status_code == 204

    totals = api.get("/experiments/test/results").json["totals"]
    assert totals["reward_sum"] == 45.0
    assert differences() == []


def test_retracting_giant_counts_never_ends_below_zero(api):
    """A Gamma posterior needs a positive shape; all rewards retracted, it is the prior's again."""
    api.running(reward={"type": "count"})
    ids = [api.decide()["decision_id"] for _ in range(6)]
    for i, decision_id in enumerate(ids):
        api.reward(decision_id, 10**14 + i * 7)
    for decision_id in reversed(ids):
        api.delete(f"/rewards/{decision_id}")

    results = api.get("/experiments/test/results")

    assert results.status_code == 200
    assert results.json["totals"]["reward_sum"] == 0.0
    assert api.decide()


def test_a_commit_unheard_of_is_not_decided_again(api, services, query, monkeypatch):
    """The acknowledgement is lost and the experiment changes before the retry: one decision all the same."""
    api.running()
    statement = services.database.statement

    def lose_one(work):
        monkeypatch.undo()
        statement(work)
        api.patch("/experiments/test", {"name": "changed meanwhile"})
        return statement(work)

    monkeypatch.setattr(type(services.database), "statement", lambda _, work: lose_one(work))
    decision = api.decide()

    assert [str(row["decision_id"]) for row in query("SELECT decision_id FROM decisions")] == [
        decision["decision_id"]
    ]
    assert api.get("/experiments/test/results").json["totals"]["decisions"] == 1


def test_a_change_whose_commit_is_unheard_of_is_not_made_twice(api, services, monkeypatch):
    """Without an Idempotency-Key it is tried once, and the caller is told that it is not known."""
    api.running()
    attempt = services.database._attempt

    def lose_one(work):
        monkeypatch.undo()
        attempt(work)
        raise StoreUnavailable("the acknowledgement was lost")

    monkeypatch.setattr(type(services.database), "_attempt", lambda _, work: lose_one(work))
    answer = api.patch("/experiments/test", {"name": "new"})

    assert answer.status_code == 503
    assert api.get("/experiments/test").json["version"] == 3


@pytest.mark.parametrize("step", ["start", "pause", "stop"])
def test_a_step_takes_no_fields(api, step):
    """A field that nobody reads is an error, not silence."""
    api.running()

    assert api.post(f"/experiments/test/{step}", {"force": True}).status_code == 422


def test_a_change_that_changes_nothing_is_no_version(api):
    """The same name again: same version, no audit entry."""
    created = api.running(name="as it is")

    again = api.patch("/experiments/test", {"name": "as it is"})

    assert again.json["version"] == created["version"]
    assert len(api.get("/experiments/test/audit").json["items"]) == 2

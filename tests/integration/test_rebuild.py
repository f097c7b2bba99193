"""The log is the truth: statistics are checked against it, and mended from it."""

import pytest

from backend import rebuild_statistics
from tests import policies
from tests.polling import eventually


@pytest.fixture
def history(api, monkeypatch, database_url):
    """Decisions and rewards of every sort, and the command set up for this database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    api.running(reward={"type": "count", "aggregation": "sum"}, update_interval_s=0.1)
    decisions = [api.decide(unit_id=f"u{i}", eligible_arms=["ab"[i % 2]]) for i in range(10)]
    for i, decision in enumerate(decisions[:7]):
        api.reward(decision["decision_id"], i)
        api.reward(decision["decision_id"], i)
        api.reward(decision["decision_id"], 1, metric="clicks")
    api.delete(f"/rewards/{decisions[0]['decision_id']}")
    api.post("/experiments/test/pause")
    api.reward(api.decide()["decision_id"], 5)
    api.post("/experiments/test/start")
    return decisions


def test_finds_nothing_in_what_the_service_added_up(history, capsys):
    """Duplicates, retractions, secondary metrics and a pause later: status 0."""
    assert rebuild_statistics.main(["--check"]) == 0
    assert "found 0 difference(s)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        "decisions = decisions + 1",
        "rewards = rewards - 1",
        "reward_sum = reward_sum + 0.001",
        "reward_sum_squares = reward_sum_squares * 1.001 + 0.001",
        "propensity_sum = propensity_sum - 0.001",
    ],
)
def test_finds_a_planted_difference(history, query, capsys, change):
    """In any of the sums: status 1, one line that names the arm; --check changes nothing."""
    query(
        f"UPDATE arm_statistics SET {change}"
        " WHERE (bucket, shard) = (SELECT bucket, shard FROM arm_statistics"
        " WHERE arm_id = 1 AND metric = 'primary' LIMIT 1) AND arm_id = 1 AND metric = 'primary'"
    )

    statuses = [rebuild_statistics.main(["--check"]) for _ in range(2)]

    out = capsys.readouterr().out.splitlines()
    assert statuses == [1, 1]
    assert out[0].startswith("test arm 1 primary")
    assert out[1] == "rebuild_statistics: found 1 difference(s)"


def test_finds_a_missing_and_an_invented_row(history, query, capsys):
    """One bucket lost, one that nothing in the log explains."""
    query("DELETE FROM arm_statistics WHERE arm_id = 0 AND metric = 'primary'")
    query(
        "INSERT INTO arm_statistics (experiment_id, metric, bucket, arm_id, shard, decisions)"
        " SELECT experiment_id, 'primary', '2020-01-01Z', 1, 0, 3 FROM experiments"
    )

    assert rebuild_statistics.main(["--check"]) == 1
    assert "2020-01-01T00:00Z: decisions 3 should be 0" in capsys.readouterr().out


def learned(api):
    """What the results say of the log: sums that do not depend on how old decisions are by now."""
    names = ("decisions", "rewards", "reward_sum", "draws", "expected_draws")
    arms = api.get("/experiments/test/results").json["arms"]
    return [{name: arm[name] for name in names} for arm in arms]


def test_mends_what_differs(history, api, query, differences, capsys):
    """Without --check: status 0, no difference afterwards, and the results are those of before."""
    before = learned(api)
    query("UPDATE arm_statistics SET decisions = decisions + 5, reward_sum = 0")
    assert differences()

    status = rebuild_statistics.main([])

    assert status == 0
    assert "mended" in capsys.readouterr().out
    assert differences() == []
    assert learned(api) == before


def test_workers_learn_from_what_was_mended(history, api, query):
    """The next published statistics are the mended ones."""
    newest = "SELECT statistics FROM policy_snapshots ORDER BY policy_version DESC LIMIT 1"

    def published():
        return sum(arm[0] for arm in query(newest)[0]["statistics"])

    eventually(lambda: published() == 10)
    query("UPDATE arm_statistics SET decisions = decisions + 5, changed_xid = pg_current_xact_id()")
    eventually(lambda: published() > 10)

    rebuild_statistics.main([])

    eventually(lambda: published() == 10)


def test_an_unreachable_database_is_status_2(monkeypatch, capsys):
    """One line, no traceback."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    monkeypatch.setenv("BANDSTAND_STORE_TIMEOUT_S", "0.1")

    assert rebuild_statistics.main(["--check"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rebuild_statistics: ")


@pytest.fixture
def contextual_history(api, monkeypatch, database_url):
    """Decisions by context, rewarded, retracted and kept by sticky units, over two versions of the experiment."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    api.running(
        policy=policies.policy("linear_thompson"),
        allocation={"stickiness": "forever"},
        update_interval_s=0.1,
    )
    decisions = [
        api.decide(unit_id=f"u{i % 15}", context={"age": i, "device": "phone"}) for i in range(20)
    ]
    for i, decision in enumerate(decisions[:12]):
        api.reward(decision["decision_id"], i % 2)
    api.delete(f"/rewards/{decisions[0]['decision_id']}")
    api.post("/experiments/test/arms", {"key": "c"})
    api.decide(unit_id="new", context={"age": 5, "device": "desktop"}, eligible_arms=["a", "c"])
    return decisions


def test_finds_nothing_in_the_sums_of_contexts(contextual_history, capsys):
    """Nor in those of draws: status 0."""
    assert rebuild_statistics.main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("context_statistics SET reward_xty[2] = reward_xty[2] + 0.01", "reward_xty[1]"),
        ("context_statistics SET decision_xtx[1] = decision_xtx[1] - 1", "decision_xtx[0]"),
        ("allocation_statistics SET drawn[1] = drawn[1] + 1", "drawn"),
        (
            "allocation_statistics SET probability_sum[2] = probability_sum[2] + 0.001",
            "probability_sum",
        ),
    ],
)
def test_finds_and_mends_a_change_of_an_array(contextual_history, query, capsys, change, name):
    """Planted in one row; found by name, and gone after the rebuild."""
    table = change.split()[0]
    query(f"UPDATE {change} WHERE ctid = (SELECT min(ctid) FROM {table})")

    statuses = [rebuild_statistics.main(arguments) for arguments in (["--check"], [], ["--check"])]

    assert statuses == [1, 0, 0]
    assert f"{name} " in capsys.readouterr().out

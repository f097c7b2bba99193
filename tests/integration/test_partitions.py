"""The log lies in weekly partitions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from backend.store.partitions import WEEKS_AHEAD, ensure_partitions


def test_this_week_and_the_next_ones_are_there(services):
    """A migrated database needs no more; a week later one more of each table is made, once."""
    now = datetime.now(UTC)

    def ensure(at):
        return services.database.transaction(lambda conn: ensure_partitions(conn, at))

    assert ensure(now) == []
    made = ensure(now + timedelta(weeks=1))
    assert len(made) == 2
    assert {name.split("_")[0] for name in made} == {"decisions", "rewards"}
    assert ensure(now + timedelta(weeks=1)) == []


def test_rows_go_into_the_week_of_their_decision(api, query):
    """Nothing is left for the default partitions."""
    api.running()
    decision = api.decide()
    api.reward(decision["decision_id"], 1)
    year, week, _ = datetime.fromisoformat(decision["decided_at"]).isocalendar()

    for table in ("decisions", "rewards"):
        found = query(f"SELECT tableoid::regclass::text AS partition FROM {table}")
        assert found == [{"partition": f"{table}_{year}w{week:02d}"}]


def test_weeks_follow_each_other_without_gaps_across_a_year(services, query):
    """From the end of 2030 on: each upper bound is the next one's lower bound."""
    at = datetime(2030, 12, 20, tzinfo=UTC)
    services.database.transaction(lambda conn: ensure_partitions(conn, at))

    bounds = query(
        "SELECT pg_get_expr(relpartbound, oid) AS bound FROM pg_class"
        " WHERE relname LIKE 'decisions\\_203%%' AND relkind = 'r' ORDER BY relname"
    )

    pairs = [row["bound"].split("'")[1::2] for row in bounds]
    assert len(pairs) == WEEKS_AHEAD + 1
    assert all(upper == lower for (_, upper), (lower, _) in pairwise(pairs))


def test_many_at_once_make_each_partition_once(services):
    """Four workers notice at the same time that weeks are missing."""
    at = datetime(2031, 6, 1, tzinfo=UTC)

    def ensure(_):
        return services.database.transaction(lambda conn: ensure_partitions(conn, at))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ensure, range(4)))

    assert ensure(0) == []

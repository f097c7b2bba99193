"""Table ``seeded_draws``: how far each seeded experiment is in its sequence of random numbers."""

from backend.store.database import Connection

RESERVE_DRAWS = """
    INSERT INTO seeded_draws AS d (experiment_id, n_draws) VALUES (%(experiment_id)s, %(n)s)
    ON CONFLICT (experiment_id) DO UPDATE SET n_draws = d.n_draws + excluded.n_draws
    RETURNING n_draws
"""


def reserve_draws(conn: Connection, experiment_id: int, n: int) -> int:
    """Take the next ``n`` random numbers of an experiment; returns the index of the first."""
    row = conn.execute(RESERVE_DRAWS, {"experiment_id": experiment_id, "n": n}).fetchone()
    assert row is not None
    return int(row["n_draws"]) - n

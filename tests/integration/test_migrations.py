"""Migrations: forward only, safe to run again, and from several places at once."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from backend import migrate as command
from backend.errors import StoreUnavailable
from backend.migrate import migrate
from backend.settings import Settings
from backend.store.schema import FOLDER
from tests.conftest import ADMIN_KEY

ALL = sorted(path.stem for path in FOLDER.glob("*.sql"))


def tables(url):
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY 1, 2"
        )
        return rows.fetchall()


def test_files_are_numbered_without_gaps():
    """0001, 0002, …: the order is in the name."""
    assert [name[:4] for name in ALL] == [f"{i + 1:04d}" for i in range(len(ALL))]


def test_the_second_run_finds_nothing_to_do(empty_database_url):
    """Neither migrations nor changes, and the admin key is there once."""
    settings = Settings(empty_database_url, admin_key=ADMIN_KEY)

    first = migrate(settings)
    before = tables(empty_database_url)
    second = migrate(settings)

    assert (first, second) == (ALL, [])
    assert tables(empty_database_url) == before
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("SELECT count(*) FROM api_keys").fetchone() == (1,)


def test_many_at_once_migrate_once(empty_database_url):
    """Four at the same time: one applies everything, the others wait and find nothing to do."""
    settings = Settings(empty_database_url, admin_key=ADMIN_KEY)

    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(settings), range(4)))

    assert sorted(applied) == [[], [], [], ALL]
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("SELECT count(*) FROM api_keys").fetchone() == (1,)


def test_an_unreachable_database_is_named_as_such():
    """StoreUnavailable, which the command turns into one line."""
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        migrate(Settings("postgresql://127.0.0.1:1/none"))


def test_the_command_says_what_it_did(empty_database_url, monkeypatch, capsys):
    """Names the first time, nothing to do the second."""
    monkeypatch.setenv("DATABASE_URL", empty_database_url)

    statuses = [command.main(), command.main()]

    out = capsys.readouterr().out.splitlines()
    assert statuses == [0, 0]
    assert all(name in out[0] for name in ALL)
    assert out[1] == "migrate: applied nothing, all up to date"


def test_the_command_fails_with_one_line(monkeypatch, capsys):
    """Status 1, and no traceback."""
    monkeypatch.delenv("DATABASE_URL", raising=False)

    assert command.main() == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("migrate: DATABASE_URL")

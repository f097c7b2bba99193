"""How environment variables become a target."""

from pathlib import Path

import pytest

from deploy_cli.errors import InvalidSetting
from deploy_cli.targets import CHECKOUT, LocalTarget, load_local


def test_without_variables_everything_is_in_the_checkout():
    expected = LocalTarget(home=CHECKOUT / ".bandstand", port=None, database_url=None)

    assert load_local({}) == expected
    assert load_local({"BANDSTAND_HOME": "", "BANDSTAND_PORT": "", "DATABASE_URL": ""}) == expected


def test_variables_are_taken(tmp_path):
    target = load_local(
        {
            "BANDSTAND_HOME": f"{tmp_path}/a/../home",
            "BANDSTAND_PORT": "9000",
            "DATABASE_URL": "postgresql://host/name",
        }
    )

    assert target == LocalTarget(tmp_path / "home", 9000, "postgresql://host/name")


def test_a_relative_home_starts_where_one_stands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert load_local({"BANDSTAND_HOME": "here"}).home == Path(tmp_path / "here").resolve()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "8080x", "\uff18\uff10", " 80"])
def test_a_port_is_a_number_from_1_to_65535(port):
    with pytest.raises(InvalidSetting, match="not a port"):
        load_local({"BANDSTAND_PORT": port})


def test_a_database_url_is_postgresqls():
    with pytest.raises(InvalidSetting, match="not the address of a PostgreSQL"):
        load_local({"DATABASE_URL": "mysql://host/name"})

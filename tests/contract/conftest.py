"""One service for a whole module, in this process or as real gunicorn processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from backend.app import create_app
from backend.http.context import EXTENSION
from backend.settings import Settings
from tests.conftest import ADMIN_KEY, TEMPLATE, Api, Cluster
from tests.contract.serving import Gunicorn


@pytest.fixture(scope="module")
def module_database_url(cluster: Cluster) -> Iterator[str]:
    """A migrated database for all tests of a module."""
    url = cluster.create(TEMPLATE)
    yield url
    cluster.drop(url)


@pytest.fixture(scope="module")
def module_app(module_database_url: str) -> Iterator[Flask]:
    """The service in this process, for all tests of a module."""
    found = create_app(Settings(module_database_url, refresh_interval_s=0.05))
    yield found
    found.extensions[EXTENSION].stop()


@pytest.fixture(scope="module")
def admin(module_app: Flask) -> Api:
    """An admin of ``module_app``."""
    return Api(module_app.test_client(), ADMIN_KEY)


@pytest.fixture(scope="module")
def module_gunicorn(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gunicorn]:
    """Two real workers on the module's database."""
    found = Gunicorn(module_database_url, tmp_path_factory.mktemp("gunicorn"))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def gunicorn(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """Two real workers on a database of this test's own."""
    found = Gunicorn(database_url, tmp_path_factory.mktemp("gunicorn"))
    found.start()
    yield found
    found.stop()

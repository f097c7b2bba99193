"""More than one worker, and a look behind the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.rows import dict_row

from backend.app import create_app
from backend.http.context import EXTENSION
from backend.rebuild_statistics import check
from backend.service.services import Services
from backend.settings import Settings
from tests.conftest import ADMIN_KEY, TEMPLATE, Api, Cluster, numbers

Query = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def shared_app(cluster: Cluster) -> Iterator[Flask]:
    """A service that the tests of this process share; its database is full of what others left."""
    url = cluster.create(TEMPLATE)
    found = create_app(Settings(url))
    yield found
    found.extensions[EXTENSION].stop()
    cluster.drop(url)


@pytest.fixture
def shared_api(shared_app: Flask) -> Api:
    """An admin of ``shared_app``, for tests of single answers; a database of one's own costs more than they do."""
    return Api(shared_app.test_client(), ADMIN_KEY)


@pytest.fixture
def key() -> str:
    """The key of an experiment that no other test has."""
    return f"key-{next(numbers)}"


@pytest.fixture
def other_app(settings: Settings) -> Iterator[Flask]:
    """Another worker on the same database."""
    found = create_app(settings)
    yield found
    found.extensions[EXTENSION].stop()


@pytest.fixture
def other_api(other_app: Flask) -> Api:
    """An admin who is served by the other worker."""
    return Api(other_app.test_client(), ADMIN_KEY)


@pytest.fixture
def deaf_api(settings: Settings) -> Iterator[Api]:
    """An admin who is served by a worker that hears of no change by itself."""
    found = create_app(replace(settings, refresh_interval_s=600.0))
    yield Api(found.test_client(), ADMIN_KEY)
    found.extensions[EXTENSION].stop()


@pytest.fixture
def query(database_url: str) -> Query:
    """Runs one SQL statement; its rows."""

    def run(statement: str, *parameters: Any) -> list[dict[str, Any]]:
        with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as conn:
            found = conn.execute(statement, parameters)  # type: ignore[call-overload]
            return found.fetchall() if found.description else []

    return run


@pytest.fixture
def differences(services: Services) -> Callable[[], list[dict[str, Any]]]:
    """Sums that are not what follows from the log."""
    return lambda: check(services.database)

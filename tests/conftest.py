"""A real PostgreSQL for every test process, a fresh database for every test that asks, and the service on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from numpy.random import Generator, default_rng
from werkzeug.test import TestResponse

from backend.app import create_app
from backend.http.context import EXTENSION
from backend.migrate import migrate
from backend.service.services import Services
from backend.settings import Settings
from deploy_cli.local.postgres import PostgresServer

ADMIN_KEY = "bs_test_admin_0123456789abcdef0123456789abcdef"
TEMPLATE = "bandstand_template"
numbers = itertools.count()


@dataclass(frozen=True)
class Cluster:
    """The PostgreSQL of this test process, with a migrated template."""

    url: str

    def url_of(self, database: str) -> str:
        return self.url.rsplit("/", 1)[0] + f"/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute(statement)  # type: ignore[call-overload]

    def create(self, template: str) -> str:
        name = f"test_{next(numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url_of(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE {url.rsplit('/', 1)[1]} WITH (FORCE)")


class Api:
    """A caller of the HTTP contract with one API key."""

    def __init__(self, client: FlaskClient, key: str | None) -> None:
        self.client = client
        self.key = key

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Headers by keyword: ``if_match='"1"'``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        url = path if path.startswith("/api") or path == "/" else f"/api/v1{path}"
        return self.client.open(url, method=method, json=body, headers=sent)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> TestResponse:
        return self("DELETE", path, **headers)

    def running(self, key: str = "test", n_arms: int = 2, **fields: Any) -> dict[str, Any]:
        """Create and start an experiment with arms a, b, c…; the first is the control."""
        arms = [{"key": chr(ord("a") + i), "is_control": i == 0} for i in range(n_arms)]
        created = self.post("/experiments", {"key": key, "arms": arms, **fields})
        assert created.status_code == 201, created.text
        started = self.post(f"/experiments/{key}/start")
        assert started.status_code == 200, started.text
        return started.json

    def decide(self, key: str = "test", unit_id: str = "unit", **fields: Any) -> dict[str, Any]:
        """One decision that must succeed."""
        answer = self.post(f"/experiments/{key}/decisions", {"unit_id": unit_id, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json

    def reward(self, decision_id: str, value: float, **fields: Any) -> dict[str, Any]:
        """The result of one reward."""
        answer = self.post(
            "/rewards", {"rewards": [{"decision_id": decision_id, "reward": value, **fields}]}
        )
        assert answer.status_code == 200, answer.text
        return answer.json["results"][0]

    def arm(self, arm_key: str, key: str = "test") -> dict[str, Any]:
        """The results of one arm."""
        arms = self.get(f"/experiments/{key}/results").json["arms"]
        return next(arm for arm in arms if arm["arm_key"] == arm_key)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """PostgreSQL, started once for each test process."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    found = Cluster(server.start())
    try:
        found.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(Settings(found.url_of(TEMPLATE), admin_key=ADMIN_KEY))
        yield found
    finally:
        server.stop()


@pytest.fixture
def empty_database_url(cluster: Cluster) -> Iterator[str]:
    """A database without any tables."""
    url = cluster.create("template1")
    yield url
    cluster.drop(url)


@pytest.fixture
def database_url(cluster: Cluster) -> Iterator[str]:
    """A migrated database of this test's own; its admin key is ADMIN_KEY."""
    url = cluster.create(TEMPLATE)
    yield url
    cluster.drop(url)


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Quick to notice what changed."""
    return Settings(database_url, refresh_interval_s=0.05)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The service, in this process."""
    found = create_app(settings)
    yield found
    found.extensions[EXTENSION].stop()


@pytest.fixture
def services(app: Flask) -> Services:
    """The use cases behind ``app``."""
    found: Services = app.extensions[EXTENSION]
    return found


@pytest.fixture
def api(app: Flask) -> Api:
    """An admin."""
    return Api(app.test_client(), ADMIN_KEY)


@pytest.fixture
def rng() -> Generator:
    """The same numbers in every run."""
    return default_rng(20240501)

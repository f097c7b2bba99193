"""Bandstand itself: an environment of its own for the run, and what must exist in it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

from processes import CHECKOUT, free_port
from progress import CannotMeasure
from wrk import Target

DECISIONS_PER_REQUEST = 500
SENDERS = 4
ARMS = ("control", "red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Service:
    """Where a running Bandstand is, and the keys to it."""

    api_url: str
    admin_key: str
    database_url: str


@contextmanager
def own_environment(scratch: Path) -> Iterator[Service]:
    """Bring up a local environment in ``scratch``, on a free port; bring it down at the end.

    The user's own settings (``BANDSTAND_*``, ``DATABASE_URL``, …) are left out, so that the
    defaults are measured and nobody else's data is touched.
    """
    env = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    env |= {"BANDSTAND_HOME": str(scratch / "home"), "BANDSTAND_PORT": str(free_port())}
    try:
        _deploy("up", env)
        outputs = json.loads(_deploy("outputs", env, "--json"))
        yield Service(outputs["api_url"], outputs["admin_key"], outputs["database_url"])
    finally:
        _deploy("down", env, check=False)


def _is_setting(name: str) -> bool:
    others = ("DATABASE_URL", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS")
    return name in others or name.startswith("BANDSTAND_")


def _deploy(verb: str, env: dict[str, str], *flags: str, check: bool = True) -> str:
    """Run one ``deploy-cli`` command and return what it prints.

    When this program is interrupted the command still ends by itself, so that ``down`` finds
    all that ``up`` started.
    """
    with subprocess.Popen(
        [Path(sys.executable).with_name("deploy-cli"), verb, "--env", "local", *flags],
        cwd=CHECKOUT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as command:
        try:
            printed, complaint = command.communicate()
        except KeyboardInterrupt:
            command.communicate()
            raise
    if check and command.returncode != 0:
        raise CannotMeasure(f"deploy-cli {verb} failed:\n{printed}{complaint}")
    return printed


def prepare(service: Service) -> Target:
    """Create and start a Thompson-sampling experiment over four arms, and a key to write to it."""
    experiment_key = f"benchmark-{uuid4().hex[:8]}"
    arms = [{"key": arm, "payload": {"color": arm}, "is_control": arm == "control"} for arm in ARMS]
    experiment = {"key": experiment_key, "arms": arms, "policy": {"type": "thompson_sampling"}}
    post(service.api_url, "/experiments", service.admin_key, experiment)
    post(service.api_url, f"/experiments/{experiment_key}/start", service.admin_key, {})
    key = {"name": experiment_key, "role": "writer"}
    created = post(service.api_url, "/keys", service.admin_key, key)
    origin = service.api_url.removesuffix("/api/v1")
    return Target(origin, experiment_key, created["key"])


def post(api_url: str, path: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send one JSON request and return the answer.

    Raises:
        CannotMeasure: the answer's status is 400 or more.
    """
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(api_url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            answer: dict[str, Any] = json.load(response)
    except HTTPError as error:
        raise CannotMeasure(f"POST {path}: {error.code} {error.read().decode()}") from error
    return answer


_units = count()


def add_decisions(target: Target, n_decisions: int) -> list[str]:
    """Make at least ``n_decisions`` decisions through the API, in batches; returns their ids."""
    n_batches = -(-n_decisions // DECISIONS_PER_REQUEST)
    with ThreadPoolExecutor(SENDERS) as senders:
        batches = senders.map(_add_batch, [target] * n_batches)
        return [decision_id for batch in batches for decision_id in batch]


def _add_batch(target: Target) -> list[str]:
    units = ({"unit_id": f"before-{next(_units)}"} for _ in range(DECISIONS_PER_REQUEST))
    decisions = [{"experiment_key": target.experiment_key, **unit} for unit in units]
    body = {"decisions": decisions}
    answer = post(f"{target.origin}/api/v1", "/decisions:batch", target.key, body)
    return [result["decision"]["decision_id"] for result in answer["results"]]

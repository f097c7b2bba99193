"""Having the demo's experiment, running."""

from __future__ import annotations

from typing import Any

from deploy_cli.api import Api
from deploy_cli.demo.trial import ARMS, EXPERIMENT_KEY, experiment
from deploy_cli.errors import ApiRefused, DemoRefused

PATH = f"/experiments/{EXPERIMENT_KEY}"


def ensure_running(api: Api) -> None:
    """Create and start the experiment if that has not been done.

    Raises:
        DemoRefused: it is there, but paused, stopped, or another experiment of this name.
    """
    found = _find(api) or api.post("/experiments", experiment())
    if {arm["key"] for arm in found["arms"]} != {arm.key for arm in ARMS}:
        raise DemoRefused(f"experiment {EXPERIMENT_KEY} is not the demo's: it has other arms")
    if found["status"] == "draft":
        found = api.post(f"{PATH}/start")
    if found["status"] != "running":
        raise DemoRefused(
            f"experiment {EXPERIMENT_KEY} is {found['status']}, so the demo cannot go on",
            f"Start it again with POST /api/v1{PATH}/start, then run the demo.",
        )


def replayed(api: Api) -> dict[str, tuple[int, int]]:
    """By arm key, how many people and voters the service has counted so far."""
    results = api.get(f"{PATH}/results")
    return {arm["arm_key"]: (arm["decisions"], round(arm["reward_sum"])) for arm in results["arms"]}


def _find(api: Api) -> Any:
    try:
        return api.get(PATH)
    except ApiRefused as refusal:
        if refusal.status == 404:
            return None
        raise

"""The planner: an experiment simulated before it begins."""

from collections.abc import Iterator
from http import HTTPStatus

import structlog
from flask import Response, g, request

from backend.domain import Json, Role
from backend.errors import PlanTooSlow
from backend.http.auth import requires
from backend.http.body import Blueprint
from backend.http.caller import is_gone
from backend.http.context import services
from backend.http.json import json_bytes, json_response
from backend.http.problems import failure, problem_of
from backend.http.schemas.simulations import SimulationRequestSchema, SimulationSchema
from backend.policies.simulation.scenario import Scenario
from backend.service.plan_experiment import Plan

NDJSON = "application/x-ndjson"
STREAMED: Json = {
    "description": 'Lines {"progress": 0.35}, then one {"result": {…}}, or {"problem": {…}} if it fails.',
    "type": "string",
}

blueprint = Blueprint(
    "simulations",
    __name__,
    url_prefix="/api/v1/simulations",
    description="What to expect of an experiment.",
)
log = structlog.get_logger(__name__)


@blueprint.post("")
@requires(Role.READER)
@blueprint.body(SimulationRequestSchema())
@blueprint.response(HTTPStatus.OK, SimulationSchema)
@blueprint.alt_response(HTTPStatus.OK, schema=STREAMED, content_type=NDJSON, success=True)
def plan_experiment(scenario: Scenario) -> Response:
    """Simulate an experiment: time to a decision, regret against an even split, chance of the wrong winner.

    With ``Accept: application/x-ndjson`` progress is told on the way.
    """
    plan = services().plan_experiment.start(scenario)
    if request.accept_mimetypes.best_match(["application/json", NDJSON]) == NDJSON:
        return Response(PlanLines(plan, g.request_id), content_type=NDJSON)
    return _whole(plan)


class PlanLines:
    """A plan as NDJSON. Whoever stops reading closes it, which ends the plan."""

    def __init__(self, plan: Plan, request_id: str) -> None:
        self._plan = plan
        self._lines = _lines(plan, request_id)

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def close(self) -> None:
        """End the plan."""
        self._plan.close()


def _whole(plan: Plan) -> Response:
    """The result alone; nothing once nobody waits for it any more."""
    try:
        for event in plan.events():
            if "result" in event:
                return json_response(event["result"])
            if is_gone():
                break
    finally:
        plan.close()
    return Response(status=HTTPStatus.NO_CONTENT)


def _lines(plan: Plan, request_id: str) -> Iterator[bytes]:
    try:
        for event in plan.events():
            yield json_bytes(event) + b"\n"
    except PlanTooSlow as exc:
        yield json_bytes({"problem": {**problem_of(exc), "request_id": request_id}}) + b"\n"
    except Exception:  # its status is sent already; the last line has to say it
        log.exception("unexpected error", request_id=request_id)
        yield json_bytes({"problem": {**failure(), "request_id": request_id}}) + b"\n"
    finally:
        plan.close()

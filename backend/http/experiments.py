"""Experiments and arms: create, read, change, start, pause, stop."""

from http import HTTPStatus
from typing import Any

from flask import Response, request
from marshmallow import Schema, fields

from backend.domain import Arm, Experiment, Json, Role, Status
from backend.http.auth import actor, requires
from backend.http.body import Blueprint, load_body, parse_json, read_body
from backend.http.context import services
from backend.http.headers import claim, expected_version, with_version
from backend.http.json import json_bytes, json_response
from backend.http.openapi import IDEMPOTENCY_KEY, IF_MATCH
from backend.http.pages import NumberedPageQuerySchema, page
from backend.http.schemas.experiments import (
    ArmPatchSchema,
    ArmSchema,
    AuditPageSchema,
    ExperimentPageSchema,
    ExperimentPatchSchema,
    ExperimentSchema,
)
from backend.service.manage_experiments import ManageExperiments

blueprint = Blueprint(
    "experiments",
    __name__,
    url_prefix="/api/v1/experiments",
    description="What is tried, and on what terms.",
)


NOTHING = Schema()


class ExperimentsQuerySchema(NumberedPageQuerySchema):
    """Which experiments."""

    status = fields.Enum(Status, by_value=True, load_default=None)


@blueprint.post("")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
@requires(Role.ADMIN)
@blueprint.body(ExperimentSchema())
@blueprint.response(HTTPStatus.CREATED, ExperimentSchema)
def create_experiment(experiment: Experiment) -> Response:
    """Create a draft."""
    created = manage().create(experiment, actor(), claim(_rendered(HTTPStatus.CREATED)))
    return _answer(created, HTTPStatus.CREATED)


@blueprint.get("")
@requires(Role.READER)
@blueprint.arguments(ExperimentsQuerySchema(), location="query")
@blueprint.response(HTTPStatus.OK, ExperimentPageSchema)
def list_experiments(query: Json) -> Json:
    """List experiments, newest first."""
    found = manage().page(cursor=query["cursor"], status=query["status"], limit=query["limit"] + 1)
    return page(found, query["limit"], lambda experiment: experiment.experiment_id)


@blueprint.get("/<key:experiment_key>")
@requires(Role.READER)
@blueprint.response(HTTPStatus.OK, ExperimentSchema)
def get_experiment(experiment_key: str) -> Response:
    """Read one experiment; its ETag is its version."""
    return _answer(manage().get(experiment_key))


@blueprint.patch("/<key:experiment_key>")
@blueprint.doc(parameters=[IF_MATCH])
@requires(Role.ADMIN)
@blueprint.body(ExperimentPatchSchema())
@blueprint.response(HTTPStatus.OK, ExperimentSchema)
def update_experiment(changes: Json, experiment_key: str) -> Response:
    """Change some fields. With If-Match, only if the version is still that one."""
    return _answer(manage().update(experiment_key, changes, actor(), expected_version()))


@blueprint.post("/<key:experiment_key>/start")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY, IF_MATCH])
@requires(Role.ADMIN)
@blueprint.response(HTTPStatus.OK, ExperimentSchema)
def start_experiment(experiment_key: str) -> Response:
    """Start a draft, or go on after a pause."""
    return _walk(manage().start, experiment_key)


@blueprint.post("/<key:experiment_key>/pause")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY, IF_MATCH])
@requires(Role.ADMIN)
@blueprint.response(HTTPStatus.OK, ExperimentSchema)
def pause_experiment(experiment_key: str) -> Response:
    """Answer the control arm, and learn nothing, until started again."""
    return _walk(manage().pause, experiment_key)


@blueprint.post("/<key:experiment_key>/stop")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY, IF_MATCH])
@requires(Role.ADMIN)
@blueprint.response(HTTPStatus.OK, ExperimentSchema)
def stop_experiment(experiment_key: str) -> Response:
    """End for good."""
    return _walk(manage().stop, experiment_key)


@blueprint.post("/<key:experiment_key>/arms")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY, IF_MATCH])
@requires(Role.ADMIN)
@blueprint.body(ArmSchema())
@blueprint.response(HTTPStatus.CREATED, ArmSchema)
def create_arm(arm: Arm, experiment_key: str) -> Response:
    """Add an arm; it starts from the prior."""

    def render(experiment: Experiment) -> tuple[int, bytes]:
        return HTTPStatus.CREATED, json_bytes(_dump_arm(experiment, arm.key))

    experiment = manage().add_arm(experiment_key, arm, actor(), claim(render), expected_version())
    return _arm_answer(experiment, arm.key, HTTPStatus.CREATED)


@blueprint.patch("/<key:experiment_key>/arms/<key:arm_key>")
@blueprint.doc(parameters=[IF_MATCH])
@requires(Role.ADMIN)
@blueprint.body(ArmPatchSchema())
@blueprint.response(HTTPStatus.OK, ArmSchema)
def update_arm(changes: Json, experiment_key: str, arm_key: str) -> Response:
    """Change some fields of an arm; pause, resume or retire it by its status."""
    experiment = manage().update_arm(experiment_key, arm_key, changes, actor(), expected_version())
    return _arm_answer(experiment, arm_key, HTTPStatus.OK)


@blueprint.get("/<key:experiment_key>/audit")
@requires(Role.READER)
@blueprint.arguments(NumberedPageQuerySchema(), location="query")
@blueprint.response(HTTPStatus.OK, AuditPageSchema)
def get_audit(query: Json, experiment_key: str) -> Json:
    """Every change, by whom, from what to what, newest first."""
    found = manage().audit_page(experiment_key, cursor=query["cursor"], limit=query["limit"] + 1)
    return page(found, query["limit"], lambda row: row["audit_id"])


def manage() -> ManageExperiments:
    """The use cases behind these routes."""
    return services().manage_experiments


def _walk(step: Any, experiment_key: str) -> Response:
    """One step of the life cycle. It takes no fields: a body is empty, null or an empty object."""
    if request.content_length and parse_json(read_body()) is not None:
        load_body(NOTHING)
    return _answer(
        step(experiment_key, actor(), claim(_rendered(HTTPStatus.OK)), expected_version())
    )


def _answer(experiment: Experiment, status: int = HTTPStatus.OK) -> Response:
    return with_version(
        json_response(ExperimentSchema().dump(experiment), status), experiment.version
    )


def _arm_answer(experiment: Experiment, arm_key: str, status: int) -> Response:
    return with_version(json_response(_dump_arm(experiment, arm_key), status), experiment.version)


def _dump_arm(experiment: Experiment, arm_key: str) -> Json:
    dumped: Json = ArmSchema().dump(experiment.arms[experiment.arm_id(arm_key)])
    return dumped


def _rendered(status: int) -> Any:
    return lambda experiment: (status, json_bytes(ExperimentSchema().dump(experiment)))

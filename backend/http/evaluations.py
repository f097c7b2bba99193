"""Off-policy evaluation: what another policy would have earned."""

from http import HTTPStatus

from flask import Response

from backend.domain import Json, Role, format_time
from backend.http.auth import requires
from backend.http.body import Blueprint
from backend.http.context import services
from backend.http.headers import claim
from backend.http.json import json_bytes, json_response
from backend.http.openapi import IDEMPOTENCY_KEY
from backend.http.schemas.evaluations import EvaluationRequestSchema, EvaluationSchema
from backend.service.evaluate_policy import PolicyEvaluation

blueprint = Blueprint(
    "evaluations",
    __name__,
    url_prefix="/api/v1/experiments/<key:experiment_key>",
    description="What another policy would have earned.",
)


@blueprint.post("/evaluations")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
@requires(Role.READER)
@blueprint.body(EvaluationRequestSchema())
@blueprint.response(HTTPStatus.OK, EvaluationSchema)
def evaluate_policy(body: Json, experiment_key: str) -> Response:
    """Estimate the value of a policy from the experiment's own log; changes nothing."""
    found = services().evaluate_policy.evaluate(
        experiment_key, body["policy"], body["estimators"], claim(_render)
    )
    return json_response(_dump(found))


def _render(found: PolicyEvaluation) -> tuple[int, bytes]:
    return HTTPStatus.OK, json_bytes(_dump(found))


def _dump(found: PolicyEvaluation) -> Json:
    evaluation = found.evaluation
    return {
        "experiment_key": found.experiment.key,
        "as_of": format_time(found.as_of),
        "policy": found.policy,
        "n": evaluation.n,
        "effective_sample_size": evaluation.effective_sample_size,
        "estimates": {
            name.value: {"value": estimate.value, "interval": list(estimate.interval)}
            for name, estimate in evaluation.estimates.items()
        },
        "logged_policy_value": found.logged_policy_value,
        "warnings": evaluation.warnings,
    }

"""Decisions: one, many, read back, explained."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import numpy as np
from flask import Response, g
from marshmallow import ValidationError

from backend.domain import BoolArray, Decision, DecisionRequest, Json, Role, format_time
from backend.errors import BanditError, InvalidInput
from backend.http.auth import requires
from backend.http.body import Blueprint
from backend.http.context import services
from backend.http.headers import claim
from backend.http.json import json_bytes, json_response
from backend.http.openapi import IDEMPOTENCY_KEY
from backend.http.problems import STATUS, problem_of
from backend.http.schemas.decisions import (
    BatchRequestSchema,
    BatchResponseSchema,
    DecisionRequestSchema,
    DecisionSchema,
    ExplanationSchema,
    LoggedDecisionSchema,
)
from backend.http.schemas.fields import flatten
from backend.service.explain_decision import Explanation, LoggedDecision
from backend.statistics import Scores

blueprint = Blueprint(
    "decisions", __name__, url_prefix="/api/v1", description="Which arm a unit gets."
)


@blueprint.post("/experiments/<key:experiment_key>/decisions")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
@requires(Role.WRITER)
@blueprint.body(DecisionRequestSchema())
@blueprint.response(HTTPStatus.CREATED, DecisionSchema)
def create_decision(body: Json, experiment_key: str) -> Response:
    """Choose an arm for one unit; log it with its propensity, then answer."""
    request = DecisionRequest(experiment_key, **body)
    decision = services().decide.one(request, claim(_render_one))
    return json_response(_dump(decision), HTTPStatus.CREATED)


@blueprint.post("/decisions:batch")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
@requires(Role.WRITER)
@blueprint.body(BatchRequestSchema())
@blueprint.response(HTTPStatus.OK, BatchResponseSchema)
def create_decisions(body: Json) -> Response:
    """Choose for many units at once, in one transaction; a bad element does not spoil the others."""
    elements: list[DecisionRequest | ValidationError] = body["decisions"]
    valid = [e for e in elements if isinstance(e, DecisionRequest)]
    request_id: str = g.request_id

    def render(outcomes: Sequence[Decision | BanditError]) -> tuple[int, bytes]:
        return HTTPStatus.OK, json_bytes(_dump_batch(elements, outcomes, request_id))

    claimed = claim(render)
    outcomes = services().decide.batch(valid, claimed) if valid or claimed else []
    return json_response(_dump_batch(elements, outcomes, request_id))


@blueprint.get("/decisions/<uuid:decision_id>")
@requires(Role.READER)
@blueprint.response(HTTPStatus.OK, LoggedDecisionSchema)
def get_decision(decision_id: Any) -> Response:
    """Read a decision back, with its rewards."""
    return json_response(_dump_logged(services().explain_decision.get(str(decision_id))))


@blueprint.get("/decisions/<uuid:decision_id>/explain")
@requires(Role.READER)
@blueprint.response(HTTPStatus.OK, ExplanationSchema)
def explain_decision(decision_id: Any) -> Response:
    """The statistics, prior, policy, probabilities and random number that made the choice."""
    return json_response(_dump_explanation(services().explain_decision.explain(str(decision_id))))


def _dump(decision: Decision) -> Json:
    arm = decision.arm
    return {
        "decision_id": decision.decision_id,
        "experiment_key": decision.experiment.key,
        "unit_id": decision.unit_id,
        "arm_key": arm.key,
        "payload": arm.payload,
        "propensity": decision.propensity,
        "probabilities": decision.probabilities,
        "reason": decision.reason,
        "policy_version": decision.policy_version,
        "redrawn_from": decision.redrawn_from,
        "decided_at": format_time(decision.decided_at),
    }


def _render_one(outcomes: Sequence[Decision]) -> tuple[int, bytes]:
    return HTTPStatus.CREATED, json_bytes(_dump(outcomes[0]))


def _dump_batch(
    elements: Sequence[DecisionRequest | ValidationError],
    outcomes: Sequence[Decision | BanditError],
    request_id: str,
) -> Json:
    """One result an element, in order: ``outcomes`` are those of the valid elements.

    Also called by the writer's thread, outside of the request.
    """
    following = iter(outcomes)
    return {
        "results": [
            _dump_outcome(
                InvalidInput(flatten(element.messages))
                if isinstance(element, ValidationError)
                else next(following),
                request_id,
            )
            for element in elements
        ]
    }


def _dump_outcome(outcome: Decision | BanditError, request_id: str) -> Json:
    if isinstance(outcome, Decision):
        return {"status": int(HTTPStatus.CREATED), "decision": _dump(outcome)}
    problem = {**problem_of(outcome), "request_id": request_id}
    return {"status": int(STATUS[type(outcome)]), "problem": problem}


def _dump_logged(logged: LoggedDecision) -> Json:
    decision = logged.decision
    return {
        **_dump(decision),
        "context": decision.context,
        "eligible_arms": _arm_keys(decision),
        "sticky_decision_id": decision.sticky_decision_id,
        "rewards": [
            {
                "metric": row["metric"],
                "reward": row["value"],
                "occurred_at": format_time(row["occurred_at"]),
                "received_at": format_time(row["received_at"]),
                "is_late": row["is_late"],
                "retracted_at": format_time(row["retracted_at"]),
            }
            for row in logged.rewards
        ],
    }


def _dump_explanation(explanation: Explanation) -> Json:
    logged, decision = explanation.logged, explanation.logged.decision
    experiment, published = logged.snapshot.experiment, logged.snapshot.published
    statistics, stats = published.statistics, published.stats
    eligible = logged.snapshot.eligible(logged.eligible_arm_ids)
    scores = _dump_scores(logged.scores, eligible)
    return {
        "decision_id": decision.decision_id,
        "experiment_key": experiment.key,
        "experiment_version": experiment.version,
        "policy_version": decision.policy_version,
        "policy": experiment.policy,
        "prior": explanation.prior,
        "reward": experiment.reward,
        "allocation": experiment.allocation,
        "status": experiment.status,
        "seed": experiment.seed,
        "context": logged.context,
        "eligible_arms": _arm_keys(decision),
        "n_decisions": stats.n_decisions,
        "batch_size": stats.batch_size,
        "statistics": [
            {
                "arm_key": arm.key,
                "status": arm.status,
                "is_eligible": bool(eligible[i]),
                "decisions": int(statistics.decisions[i]),
                "rewards": int(statistics.rewards[i]),
                "reward_sum": float(statistics.reward_sum[i]),
                "reward_sum_squares": float(statistics.reward_sum_squares[i]),
                "observed": {
                    "pulls": float(stats.pulls[i]),
                    "reward_sum": float(stats.reward_sum[i]),
                    "reward_sum_squares": float(stats.reward_sum_squares[i]),
                    "pending": float(stats.pending[i]),
                    "weight_sum": float(stats.weight_sum[i]),
                    "weighted_reward_sum": float(stats.weighted_reward_sum[i]),
                },
                "score": scores.get(i),
                "policy_probability": float(explanation.policy_probabilities[i]),
                "probability": decision.probabilities[arm.key],
            }
            for i, arm in enumerate(experiment.arms)
        ],
        "probabilities": decision.probabilities,
        "random_number": decision.random_number,
        "arm_key": decision.arm.key,
        "propensity": decision.propensity,
        "reason": decision.reason,
        "sticky_decision_id": decision.sticky_decision_id,
        "redrawn_from": decision.redrawn_from,
        "is_reproduced": explanation.is_reproduced,
    }


def _dump_scores(scores: Sequence[float] | None, eligible: BoolArray) -> dict[int, Json]:
    """By arm, what a contextual policy made its vector from."""
    if scores is None:
        return {}
    found = Scores.from_array(scores)
    pairs = zip(found.mean.tolist(), found.standard_deviation.tolist(), strict=True)
    arm_ids = np.flatnonzero(eligible).tolist()
    return {
        arm_id: {"mean": mean, "standard_deviation": deviation}
        for arm_id, (mean, deviation) in zip(arm_ids, pairs, strict=True)
    }


def _arm_keys(decision: Decision) -> list[str] | None:
    if decision.eligible_arm_ids is None:
        return None
    return [decision.experiment.arms[arm_id].key for arm_id in decision.eligible_arm_ids]

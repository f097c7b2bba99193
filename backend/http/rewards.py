"""Rewards: recorded exactly once, late ones marked, wrong ones taken back."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Response
from marshmallow import ValidationError

from backend.domain import Json, Reward, RewardResult, RewardStatus, Role
from backend.http.auth import actor, requires
from backend.http.body import Blueprint
from backend.http.context import services
from backend.http.headers import claim
from backend.http.json import json_bytes, json_response
from backend.http.openapi import IDEMPOTENCY_KEY
from backend.http.schemas.fields import flatten
from backend.http.schemas.rewards import (
    RetractQuerySchema,
    RewardsRequestSchema,
    RewardsResponseSchema,
)

blueprint = Blueprint(
    "rewards", __name__, url_prefix="/api/v1/rewards", description="What came of it."
)


@blueprint.post("")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
@requires(Role.WRITER)
@blueprint.body(RewardsRequestSchema())
@blueprint.response(HTTPStatus.OK, RewardsResponseSchema)
def create_rewards(body: Json) -> Response:
    """Record rewards; a bad one does not spoil the others, and sending one again changes nothing."""
    rewards = [
        _invalid(element) if isinstance(element, ValidationError) else element
        for element in body["rewards"]
    ]
    results = services().record_rewards.batch(rewards, claim(_render))
    return json_response(_dump(results))


@blueprint.delete("/<uuid:decision_id>")
@requires(Role.ADMIN)
@blueprint.arguments(RetractQuerySchema(), location="query")
@blueprint.response(HTTPStatus.NO_CONTENT)
def retract_reward(query: Json, decision_id: Any) -> None:
    """Take back the reward of a decision: the statistics are as if it had never come.

    Sent again after that, the same reward is recorded anew.
    """
    services().record_rewards.retract(str(decision_id), query["metric"], actor())


def _invalid(error: ValidationError) -> Reward | RewardResult:
    sent = error.data.get("decision_id") if isinstance(error.data, dict) else None
    detail = "; ".join(f"{path}: {' '.join(m)}" for path, m in flatten(error.messages).items())
    return RewardResult(sent if isinstance(sent, str) else "", RewardStatus.INVALID, detail)


def _dump(results: Sequence[RewardResult]) -> Json:
    return {"results": [_dump_result(result) for result in results]}


def _dump_result(result: RewardResult) -> Json:
    dumped: Json = {"decision_id": result.decision_id or None, "status": result.status}
    return {**dumped, "detail": result.detail} if result.detail else dumped


def _render(results: Sequence[RewardResult]) -> tuple[int, bytes]:
    return HTTPStatus.OK, json_bytes(_dump(results))

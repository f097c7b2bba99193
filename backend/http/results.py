"""Results, series over time, current propensities, and the log itself."""

from collections.abc import Iterator
from dataclasses import asdict
from http import HTTPStatus

from flask import Response, request

from backend.domain import Arm, Experiment, Json, Role, format_time
from backend.http.auth import requires
from backend.http.body import Blueprint
from backend.http.context import services
from backend.http.json import json_bytes, json_response
from backend.http.schemas.results import (
    PropensitiesSchema,
    ResultsSchema,
    SeriesQuerySchema,
    SeriesSchema,
)
from backend.service.report_guardrails import GuardrailReport
from backend.service.report_results import Propensities, Results
from backend.store.database import Row

blueprint = Blueprint(
    "results",
    __name__,
    url_prefix="/api/v1/experiments/<key:experiment_key>",
    description="What was learned.",
)


@blueprint.get("/results")
@requires(Role.READER)
@blueprint.response(HTTPStatus.OK, ResultsSchema)
def get_results(experiment_key: str) -> Response:
    """What every arm brought, how sure that is, and what to do; as it is right now."""
    return json_response(_dump_results(services().report_results.results(experiment_key)))


@blueprint.get("/timeseries")
@requires(Role.READER)
@blueprint.arguments(SeriesQuerySchema(), location="query")
@blueprint.response(HTTPStatus.OK, SeriesSchema)
def get_timeseries(query: Json, experiment_key: str) -> Response:
    """Sums per bucket of the decisions' time, and arm."""
    experiment, rows = services().report_results.series(
        experiment_key, unit=query["bucket"], metric=query["metric"], since=query["since"]
    )
    items = [_dump_point(experiment, row) for row in rows]
    return json_response(
        {
            "experiment_key": experiment.key,
            "bucket": query["bucket"],
            "metric": query["metric"],
            "items": items,
            "next_cursor": None,
        }
    )


@blueprint.get("/propensities")
@requires(Role.READER)
@blueprint.response(HTTPStatus.OK, PropensitiesSchema)
def get_propensities(experiment_key: str) -> Response:
    """The vector that arms are drawn from now, for clients that draw by themselves for a short time."""
    found = services().report_results.propensities(experiment_key)
    tag = f'"{found.experiment.version}.{found.policy_version}"'
    if request.if_none_match.contains(tag.strip('"')):
        response = Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        response = json_response(_dump_propensities(found))
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = f"public, max-age={_max_age_s(found.experiment)}"
    return response


@blueprint.get("/decisions.ndjson")
@requires(Role.ADMIN)
@blueprint.response(HTTPStatus.OK, content_type="application/x-ndjson")
def get_log(experiment_key: str) -> Response:
    """The decision log with rewards, one JSON object a line, oldest first, streamed."""
    experiment, rows = services().report_results.log(experiment_key)
    return Response(_lines(experiment, rows), mimetype="application/x-ndjson")


def _dump_results(results: Results) -> Json:
    statistics = results.statistics
    return {
        "experiment_key": results.experiment.key,
        "as_of": format_time(results.as_of),
        "status": results.experiment.status,
        "policy_version": results.policy_version,
        "totals": {
            "decisions": int(statistics.decisions.sum()),
            "rewards": int(statistics.rewards.sum()),
            "reward_sum": float(statistics.reward_sum.sum()),
            "pending": results.pending,
        },
        "arms": [_dump_arm(results, i, arm) for i, arm in enumerate(results.experiment.arms)],
        "value_remaining": asdict(results.value_remaining),
        "lift_over_control": _dump_lift(results, results.best_challenger()),
        "sample_ratio": asdict(results.sample_ratio),
        "guardrails": [_dump_guardrail(results, report) for report in results.guardrails],
        "recommendation": asdict(results.recommendation),
    }


def _dump_arm(results: Results, i: int, arm: Arm) -> Json:
    """NaN is written as null."""
    statistics, draws = results.statistics, results.draws
    return {
        "arm_key": arm.key,
        "status": arm.status,
        "decisions": int(statistics.decisions[i]),
        "rewards": int(statistics.rewards[i]),
        "reward_sum": float(statistics.reward_sum[i]),
        "observed": float(results.observed.pulls[i]),
        "reward_mean": float(results.reward_mean[i]),
        "credible_interval": results.credible_interval[i].tolist(),
        "probability_best": float(results.probability_best[i]),
        "expected_loss": float(results.expected_loss[i]),
        "propensity": float(results.propensity[i]),
        "unbiased_mean": float(results.unbiased.mean[i]),
        "unbiased_interval": results.unbiased.interval[i].tolist(),
        "confidence_sequence": results.confidence_sequence[i].tolist(),
        "lift_over_control": _dump_lift(results, i),
        "draws": int(draws.drawn[i]),
        "expected_draws": float(draws.probability_sum[i]),
    }


def _dump_lift(results: Results, i: int | None) -> Json:
    """Of one arm over the control; nulls where there is none to compare."""
    lift = results.lift
    if lift is None or i is None:
        nothing: Json = {"estimate": None, "interval": [None, None]}
        return {"arm_key": None, **nothing, "absolute": nothing}
    return {
        "arm_key": results.experiment.arms[i].key,
        "estimate": float(lift.relative[i]),
        "interval": lift.relative_interval[i].tolist(),
        "absolute": {
            "estimate": float(lift.absolute[i]),
            "interval": lift.absolute_interval[i].tolist(),
        },
    }


def _dump_guardrail(results: Results, report: GuardrailReport) -> Json:
    return {
        **asdict(report.guardrail),
        "arms": [
            {
                "arm_key": arm.key,
                "values": int(report.values[i]),
                "mean": float(report.mean[i]),
                "is_breached": bool(report.is_breached[i]),
                "breached_at": format_time(report.breached_at.get(i)),
            }
            for i, arm in enumerate(results.experiment.arms)
        ],
    }


def _dump_point(experiment: Experiment, row: Row) -> Json:
    decisions = row["decisions"]
    return {
        "bucket_start": format_time(row["bucket"]),
        "arm_key": experiment.arms[row["arm_id"]].key,
        "decisions": decisions,
        "rewards": row["rewards"],
        "reward_sum": row["reward_sum"],
        "mean_propensity": row["propensity_sum"] / decisions if decisions else None,
    }


def _dump_propensities(found: Propensities) -> Json:
    experiment = found.experiment
    control = experiment.control_arm_id
    return {
        "experiment_key": experiment.key,
        "experiment_version": experiment.version,
        "policy_version": found.policy_version,
        "status": experiment.status,
        "probabilities": found.probabilities,
        "payloads": {arm.key: arm.payload for arm in experiment.arms},
        "control_share": experiment.allocation.control_share,
        "control_arm_key": None if control is None else experiment.arms[control].key,
        "max_age_s": _max_age_s(experiment),
    }


def _max_age_s(experiment: Experiment) -> int:
    return max(1, int(experiment.update_interval_s))


def _lines(experiment: Experiment, rows: Iterator[Row]) -> Iterator[bytes]:
    for row in rows:
        eligible = row["eligible_arm_ids"]
        yield (
            json_bytes(
                {
                    "decision_id": str(row["decision_id"]),
                    "unit_id": row["unit_id"],
                    "arm_key": experiment.arms[row["arm_id"]].key,
                    "propensity": row["propensity"],
                    "reason": row["reason"],
                    "policy_version": row["policy_version"],
                    "decided_at": format_time(row["decided_at"]),
                    "context": row["context"],
                    "eligible_arms": None
                    if eligible is None
                    else [experiment.arms[i].key for i in eligible],
                    "rewards": row["rewards"] or [],
                }
            )
            + b"\n"
        )

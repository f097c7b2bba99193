"""How secondary metrics stand against their guardrails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from backend.domain import BoolArray, Experiment, FloatArray, Guardrail
from backend.inference.guardrails import breaches
from backend.store.database import Connection
from backend.store.guardrail_breaches import select_breaches
from backend.store.statistics import select_metrics


@dataclass(frozen=True, slots=True)
class GuardrailReport:
    """A guardrail with the numbers of its metric; arrays have shape (n_arms,).

    ``mean`` is NaN for an arm without values; ``breached_at`` tells when an arm crossed it for the first time.
    """

    guardrail: Guardrail
    values: FloatArray
    mean: FloatArray
    is_breached: BoolArray
    breached_at: Mapping[int, datetime]


def report_guardrails(conn: Connection, experiment: Experiment) -> Sequence[GuardrailReport]:
    """One report a guardrail, in their order."""
    if not experiment.guardrails:
        return []
    metrics = [guardrail.metric for guardrail in experiment.guardrails]
    sums = {metric: np.zeros((3, experiment.n_arms)) for metric in metrics}
    for row in select_metrics(conn, experiment.experiment_id, metrics):
        if row["arm_id"] < experiment.n_arms:  # else it was added since the experiment was read
            values = row["rewards"], row["reward_sum"], row["reward_sum_squares"]
            sums[row["metric"]][:, row["arm_id"]] = values
    known = select_breaches(conn, experiment.experiment_id)
    return [
        _report(guardrail, sums[guardrail.metric], known) for guardrail in experiment.guardrails
    ]


def _report(
    guardrail: Guardrail, sums: FloatArray, known: Mapping[tuple[int, str], datetime]
) -> GuardrailReport:
    n, total, squares = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
    return GuardrailReport(
        guardrail=guardrail,
        values=n,
        mean=mean,
        is_breached=breaches(guardrail, n, total, squares),
        breached_at={
            arm_id: at for (arm_id, metric), at in known.items() if metric == guardrail.metric
        },
    )

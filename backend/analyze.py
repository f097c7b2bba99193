"""Analyse an experiment from its counts: ``python -m backend.analyze --counts FILE [--json]``.

FILE (``-`` for standard input) is JSON:

  {"reward": {"type": "binary"},
   "arms": [{"arm_key": "a", "decisions": 100, "rewards": 100, "reward_sum": 12, "reward_sum_squares": 12},
            {"arm_key": "b", "decisions": 100, "rewards": 100, "reward_sum": 15, "reward_sum_squares": 15}]}

reward.type is binary (0 or 1), count (integers >= 0) or continuous. Optional: reward.min and reward.max, the range of
continuous rewards (none if not given), and reward.default_reward, what each of the decisions - rewards decisions without a
reward counts as: 0 if not given, null to leave them out. rewards counts decisions with a reward, reward_sum and
reward_sum_squares sum those; for binary rewards reward_sum_squares may be left out.

Priors: binary Beta(1, 1), uniform. count Gamma(1, 1). continuous with a range: normal around its middle with a quarter of
its width as standard deviation, worth one reward; without one: mean and variance of all rewards, worth one reward.

All intervals are 95%. credible_interval is the posterior's; confidence_sequence is valid at every look. Exit status: 0, or
2 if FILE cannot be read or makes no sense.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson

from backend.domain import FloatArray, Json, Status
from backend.errors import InvalidInput
from backend.inference.confidence_sequence import LEVEL, EpochSums, confidence_sequence
from backend.inference.posteriors import family_for
from backend.inference.recommendation import Evidence, Recommendation, recommend
from backend.inference.value_remaining import ValueRemaining
from backend.service.counts_file import Counts, read_counts

QUANTILE = 0.95


@dataclass(frozen=True, slots=True)
class Analysis:
    """What counts say; arrays have shape (n_arms,), intervals (n_arms, 2), NaN where not known."""

    counts: Counts
    reward_mean: FloatArray
    credible_interval: FloatArray
    probability_best: FloatArray
    expected_loss: FloatArray
    confidence_sequence: FloatArray
    value_remaining: ValueRemaining
    recommendation: Recommendation


def analyze(counts: Counts) -> Analysis:
    """As in the results of an experiment that is running, but for what needs logged propensities."""
    stats = counts.statistics.observed(counts.reward.default_reward)
    posterior = family_for(counts.reward).posterior(stats)
    sums = EpochSums(stats.pulls[None], stats.reward_sum[None], stats.reward_sum_squares[None])
    sequence = confidence_sequence(sums, counts.reward)
    evidence = Evidence(
        status=Status.RUNNING,
        arm_keys=counts.arm_keys,
        pulls=stats.pulls,
        means=posterior.mean(),
        probability_best=posterior.probability_best(),
        expected_loss=posterior.expected_loss(),
        value_remaining=posterior.value_remaining(QUANTILE),
        confidence_sequence=sequence,
        joint_sequence=confidence_sequence(
            sums, counts.reward, 1.0 - (1.0 - LEVEL) / len(counts.arm_keys)
        ),
    )
    return Analysis(
        counts=counts,
        reward_mean=stats.means(),
        credible_interval=posterior.interval(LEVEL),
        probability_best=evidence.probability_best,
        expected_loss=evidence.expected_loss,
        confidence_sequence=sequence,
        value_remaining=evidence.value_remaining,
        recommendation=recommend(evidence),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a command; 0, or 2 when the file cannot be read or makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m backend.analyze",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--counts", required=True, metavar="FILE", help="JSON, - for standard input"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    try:
        analysis = analyze(read_counts(_read(options.counts)))
    except (InvalidInput, OSError) as exc:
        sys.stderr.write(f"analyze: {_describe(exc, options.counts)}\n")
        return 2
    document = _document(analysis)
    sys.stdout.write(_json(document) if options.json else _table(document))
    return 0


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _describe(error: InvalidInput | OSError, name: str) -> str:
    """One line: what is wrong, where, and how it would be right."""
    where = "standard input" if name == "-" else name
    if isinstance(error, OSError):
        return f"cannot read {where}: {error.strerror}; give a file that exists and can be read"
    path, messages = next(iter(error.errors.items()))
    more = len(error.errors) - 1
    others = f" (and {more} more {'field' if more == 1 else 'fields'} to mend)" if more else ""
    return f"{where}: {path}: {messages[0]}{others}"


def _document(analysis: Analysis) -> Json:
    statistics = analysis.counts.statistics
    arms = [
        {
            "arm_key": arm_key,
            "decisions": int(statistics.decisions[i]),
            "rewards": int(statistics.rewards[i]),
            "reward_sum": float(statistics.reward_sum[i]),
            "reward_mean": float(analysis.reward_mean[i]),
            "credible_interval": analysis.credible_interval[i].tolist(),
            "probability_best": float(analysis.probability_best[i]),
            "expected_loss": float(analysis.expected_loss[i]),
            "confidence_sequence": analysis.confidence_sequence[i].tolist(),
        }
        for i, arm_key in enumerate(analysis.counts.arm_keys)
    ]
    return {
        "arms": arms,
        "value_remaining": asdict(analysis.value_remaining),
        "recommendation": asdict(analysis.recommendation),
    }


def _json(document: Json) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _table(document: Json) -> str:
    head = ["arm", "decisions", "mean", "credible 95%", "P(best)", "loss", "any-time 95%"]
    rows = [
        [
            arm["arm_key"],
            f"{arm['decisions']:,}",
            _number(arm["reward_mean"]),
            _interval(arm["credible_interval"]),
            f"{arm['probability_best']:.4f}",
            _number(arm["expected_loss"]),
            _interval(arm["confidence_sequence"]),
        ]
        for arm in document["arms"]
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in [head, *rows]]  # fmt: skip
    left, advice = document["value_remaining"], document["recommendation"]
    relative = (
        "no bound relative to the mean"
        if left["relative"] is None
        else f"{left['relative']:.2%} of the mean"
    )
    return "\n".join(
        [
            *lines,
            "",
            f"value remaining, {left['quantile']:.0%}: {_number(left['absolute'])}, {relative}",
            f"recommendation: {advice['action']}"
            + (f" {advice['arm_key']}" if advice["arm_key"] else ""),
            advice["reason"],
            "",
        ]
    )


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"


def _interval(bounds: Sequence[float]) -> str:
    return f"[{_number(bounds[0])}, {_number(bounds[1])}]"


if __name__ == "__main__":
    sys.exit(main())

"""What to do with an experiment, in words that say what is claimed and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from backend.domain import FloatArray, Status
from backend.inference.sample_ratio import SampleRatio
from backend.inference.value_remaining import ValueRemaining

SMALLEST_SAMPLE = 50.0
"""Decisions with a known outcome that every arm needs before any advice."""
TOLERATED_LOSS = 0.01
"""Share of the best arm's mean that one is willing to lose by stopping."""


_BY_CONTEXT = (
    "Units got their arm by their context, so each arm's numbers are of other units than those of the others, and none can be "
    "called best for everybody. To compare this policy with another one, or with one arm for all, ask for evaluations of "
    "those on this experiment's log."
)


class Action(StrEnum):
    """What to do now."""

    KEEP_RUNNING = "keep_running"
    SHIP = "ship"
    STOP = "stop"
    CHECK_DATA = "check_data"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """``arm_key`` is the arm to ship, or None; ``reason`` is for people."""

    action: Action
    arm_key: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the arms that are not retired; arrays have shape (n_arms,), sequences (n_arms, 2), n_arms >= 1.

    Attributes:
        pulls: decisions with a known outcome.
        means: posterior means.
        confidence_sequence: of each arm, at 95%.
        joint_sequence: at the level 1 - 0.05 / n_arms, so that all hold together with 95%.
        sample_ratio: None where draws are not known.
        breached: names of the guardrail metrics that an arm breaks, by arm key.
        is_contextual: arms were given to units by their context.
    """

    status: Status
    arm_keys: tuple[str, ...]
    pulls: FloatArray
    means: FloatArray
    probability_best: FloatArray
    expected_loss: FloatArray
    value_remaining: ValueRemaining
    confidence_sequence: FloatArray
    joint_sequence: FloatArray
    sample_ratio: SampleRatio | None = None
    breached: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_contextual: bool = False

    @property
    def best(self) -> int:
        """Position of the arm with the highest probability of being best."""
        return int(np.argmax(self.probability_best))


def recommend(evidence: Evidence) -> Recommendation:
    """The first that applies: check the data, wait for a minimum of it, ship, stop, keep running."""
    if evidence.sample_ratio is not None and evidence.sample_ratio.mismatch:
        return Recommendation(Action.CHECK_DATA, None, _mismatch(evidence.sample_ratio))
    if evidence.status is Status.DRAFT:
        return _wait(evidence, "The experiment has not started, so there are no data.")
    if len(evidence.arm_keys) == 1:
        return _wait(evidence, f"Only '{evidence.arm_keys[0]}' is in play: nothing to compare.")
    if evidence.pulls.min() < SMALLEST_SAMPLE:
        return _wait(evidence, _too_early(evidence))
    if evidence.is_contextual:
        return _wait(evidence, _BY_CONTEXT)
    winner = _winner(evidence)
    if winner is not None:
        return _ship(evidence, winner, _wins(evidence, winner))
    relative = evidence.value_remaining.relative
    if relative is None or relative >= TOLERATED_LOSS:
        return _wait(evidence, _open(evidence))
    if np.all(evidence.expected_loss < TOLERATED_LOSS * evidence.means[evidence.best]):
        return Recommendation(Action.STOP, None, _alike(evidence))
    return _ship(evidence, evidence.best, _loses_little(evidence, relative))


def _winner(evidence: Evidence) -> int | None:
    """The arm whose interval lies above all others, if there is one; NaN, an unknown bound, is above nothing."""
    low, high = evidence.joint_sequence.T
    if np.isnan(low).all():
        return None
    first = int(np.nanargmax(low))
    return first if np.all(low[first] > np.delete(high, first)) else None


def _wait(evidence: Evidence, reason: str) -> Recommendation:
    """Keep running; stopped experiments cannot, and paused ones only when they are started again."""
    if evidence.status is Status.STOPPED:
        return Recommendation(
            Action.STOP,
            None,
            f"The experiment is stopped, and its data single out no arm. {reason}",
        )
    if evidence.status is Status.PAUSED:
        reason = f"{reason} The experiment is paused and learns nothing until it is started again."
    return Recommendation(Action.KEEP_RUNNING, None, reason)


def _ship(evidence: Evidence, arm: int, reason: str) -> Recommendation:
    """Ship, unless the arm breaks a guardrail."""
    key = evidence.arm_keys[arm]
    if metrics := evidence.breached.get(key):
        broken = ", ".join(f"'{metric}'" for metric in metrics)
        return _wait(
            evidence,
            f"'{key}' breaks the guardrail on {broken}: retire it, or accept that. Otherwise: {reason}",
        )
    return Recommendation(Action.SHIP, key, reason)


def _mismatch(sample_ratio: SampleRatio) -> str:
    return (
        "Arms do not come as often as their logged probabilities say "
        f"(p = {sample_ratio.p_value:.2g}, valid at every look). Until the cause is found, trust none of these numbers: "
        "look for decisions that are lost, repeated or overridden between the service and its callers."
    )


def _too_early(evidence: Evidence) -> str:
    is_short = evidence.pulls < SMALLEST_SAMPLE
    fewest = int(np.argmin(evidence.pulls))
    return (
        f"Too early to say: {int(is_short.sum())} of {len(is_short)} arms have fewer than {SMALLEST_SAMPLE:.0f} "
        f"decisions with a known outcome ('{evidence.arm_keys[fewest]}' has {evidence.pulls[fewest]:,.0f})."
    )


def _open(evidence: Evidence) -> str:
    key, left = evidence.arm_keys[evidence.best], evidence.value_remaining
    head = f"'{key}' is best with probability {evidence.probability_best[evidence.best]:.1%}, but another arm may still be better by"
    if left.relative is None:
        return (
            f"{head} {left.absolute:.4g} ({left.quantile:.0%} bound). Its own mean may be 0 or less, so that cannot be "
            "put as a share of it: decide whether so much matters."
        )
    return (
        f"{head} {_percent(left.relative)} ({left.quantile:.0%} bound on the value remaining). "
        f"Below {TOLERATED_LOSS:.0%} it can be shipped at little risk of loss."
    )


def _wins(evidence: Evidence, arm: int) -> str:
    low, high = evidence.joint_sequence[arm]
    others = np.delete(evidence.joint_sequence[:, 1], arm)
    return (
        f"'{evidence.arm_keys[arm]}' is better than every other arm: its mean lies in {_interval(low, high)}, all others below "
        f"{others.max():.4g}. These bounds hold together, at every look, with 95% confidence, so a wrong winner has "
        "a chance of less than 5%."
    )


def _loses_little(evidence: Evidence, relative: float) -> str:
    best, keys = evidence.best, evidence.arm_keys
    rest = evidence.probability_best.copy()
    rest[best] = -1.0
    second = int(np.argmax(rest))
    return (
        f"Keeping '{keys[best]}' gives away {_at_most(relative)}, with probability "
        f"{evidence.value_remaining.quantile:.0%} under the posterior. This bounds the loss, not the chance of a false discovery: "
        f"it is not shown that '{keys[best]}' is the better arm. {_intervals(evidence, [best, second])} If you need proof of a winner, keep running until "
        "the intervals are apart."
    )


def _alike(evidence: Evidence) -> str:
    worst = evidence.expected_loss.max() / evidence.means[evidence.best]
    return (
        f"The arms are practically alike: whichever you keep, you lose {_percent(worst)} of the mean on average at most. "
        "Choose by cost or taste. This bounds the loss; it shows neither a winner nor that there is no difference. "
        f"{_intervals(evidence, _extremes(evidence))}"
    )


def _extremes(evidence: Evidence) -> list[int]:
    return sorted({evidence.best, int(np.argmax(evidence.expected_loss))})


def _intervals(evidence: Evidence, arms: Sequence[int]) -> str:
    """The always-valid intervals beside a claim."""
    bounds = evidence.confidence_sequence[list(arms)]
    if np.isnan(bounds).any():
        return (
            "No interval that is valid at every look can be given yet: there are too few rewards."
        )
    named = [
        f"'{evidence.arm_keys[arm]}' in {_interval(*ends)}"
        for arm, ends in zip(arms, bounds.tolist(), strict=True)
    ]
    return f"Valid at every look (95% each): {', '.join(named)}."


def _interval(low: float, high: float) -> str:
    return f"[{low:.4g}, {high:.4g}]"


def _percent(share: float) -> str:
    return f"{share:,.2%}" if share < 0.1 else f"{share:,.0%}"


def _at_most(share: float) -> str:
    return "nothing" if share == 0.0 else f"at most {_percent(share)} of its mean"

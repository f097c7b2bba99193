"""Sticky units: whoever draws first for a unit decides what all keep."""

from collections.abc import Sequence
from dataclasses import replace

from backend.domain import ArmStatus, Decision, Reason, Stickiness
from backend.store.assignments import Unit, claim_assignments, select_assignments
from backend.store.database import Connection, Row


def assign_units(conn: Connection, decisions: Sequence[Decision]) -> list[Decision]:
    """Give the decisions of sticky units the arm that their unit keeps; the first of a new unit sets it.

    An assignment is void when it expired or its arm is no longer active; then the unit is drawn afresh, and in the
    second case the decision says which one had drawn before (``redrawn_from``). A request that does not allow the kept
    arm gets its own draw and leaves the assignment as it is.
    """
    sticky = [d for d in decisions if is_sticky(d)]
    if not sticky:
        return list(decisions)
    kept = select_assignments(conn, list({_unit(d) for d in sticky}))
    first: dict[Unit, Decision] = {}
    for decision in sticky:
        row = kept.get(_unit(decision))
        if row is None or (row["is_expired"] and not _knows_more_arms(row, decision)):
            first.setdefault(_unit(decision), decision)
        elif _is_gone(row, decision):
            first.setdefault(_unit(decision), replace(decision, redrawn_from=row["drawn_by"]))
    if first:
        claims = [
            (d, kept[u]["drawn_by"] if u in kept else None)
            for u, d in sorted(first.items(), key=_by_unit)
        ]
        claim_assignments(conn, claims)
        kept |= select_assignments(conn, list(first))
    drawn = {d.decision_id: d for d in first.values()}
    return [
        _keep(drawn.get(d.decision_id, d), kept[_unit(d)]) if is_sticky(d) else d for d in decisions
    ]


def _keep(decision: Decision, row: Row) -> Decision:
    """``decision`` with the arm of the assignment ``row``, unless it set that itself or may not have that arm."""
    if row["drawn_by"] == decision.decision_id or not _allows(decision, row["arm_id"]):
        return decision
    if _knows_more_arms(row, decision):
        return decision
    keys = [arm.key for arm in decision.experiment.arms]
    probabilities = row["probabilities"] + [0.0] * (len(keys) - len(row["probabilities"]))
    return replace(
        decision,
        arm_id=row["arm_id"],
        propensity=row["propensity"],
        probabilities=dict(zip(keys, probabilities, strict=True)),
        random_number=row["random_number"],
        policy_version=row["policy_version"],
        reason=Reason.STICKY,
        sticky_decision_id=row["drawn_by"],
        redrawn_from=None,
        importance_weight=_weight_at(decision, row["propensity"]),
    )


def _weight_at(decision: Decision, propensity: float) -> float | None:
    """The importance weight 1 / (propensity + exploration) of another propensity, with the same exploration."""
    if decision.importance_weight is None:
        return None
    return 1.0 / (1.0 / decision.importance_weight - decision.propensity + propensity)


def is_sticky(decision: Decision) -> bool:
    """Whether the decision's unit keeps its arm."""
    return (
        decision.experiment.allocation.stickiness is not Stickiness.NONE
        and decision.reason is not Reason.PAUSED
    )


def _knows_more_arms(row: Row, decision: Decision) -> bool:
    """Whether an arm was added that ``decision`` does not know of: it is stale, and will be refused as such."""
    return len(row["probabilities"]) > decision.experiment.n_arms


def _is_gone(row: Row, decision: Decision) -> bool:
    """Whether the kept arm is no longer active."""
    if _knows_more_arms(row, decision):
        return False
    return decision.experiment.arms[row["arm_id"]].status is not ArmStatus.ACTIVE


def _allows(decision: Decision, arm_id: int) -> bool:
    return decision.eligible_arm_ids is None or arm_id in decision.eligible_arm_ids


def _unit(decision: Decision) -> Unit:
    return decision.experiment.experiment_id, decision.unit_id


def _by_unit(entry: tuple[Unit, Decision]) -> Unit:
    return entry[0]

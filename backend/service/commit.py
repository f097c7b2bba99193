"""One batch of the writer, in one transaction: Idempotency-Keys, sticky units, decisions, rewards and their sums."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backend.domain import Claim, Decision, Replay, Reward, RewardResult
from backend.errors import BanditError, ExperimentChanged, IdempotencyConflict
from backend.service.assign_units import assign_units, is_sticky
from backend.service.log_rewards import log_rewards
from backend.service.snapshot import Snapshots
from backend.service.sums_of_batch import decision_contexts, fresh_draws
from backend.store.context_statistics import add_to_contexts
from backend.store.database import Connection, Database
from backend.store.decisions import StaleDecisions, insert_decisions
from backend.store.idempotency import claim_key, store_answer

N_SHARDS = 16
"""Processes add to different rows of the statistics, so that they seldom wait for each other."""


@dataclass(frozen=True, slots=True)
class DecisionItem:
    """The decisions of one request, in order; errors stand in for those that could not be made."""

    outcomes: Sequence[Decision | BanditError]
    claim: Claim | None = None

    @property
    def n_rows(self) -> int:
        """How many rows it brings."""
        return len(self.outcomes)


@dataclass(frozen=True, slots=True)
class RewardItem:
    """The rewards of one request, in order; results stand in for those that are known to be invalid."""

    outcomes: Sequence[Reward | RewardResult]
    claim: Claim | None = None

    @property
    def n_rows(self) -> int:
        """How many rows it brings."""
        return len(self.outcomes)


LogItem = DecisionItem | RewardItem
LogResult = Sequence[Decision | BanditError | RewardResult]


class CommitLog:
    """Commits batches for the writer."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots
        self._shard = random.randrange(N_SHARDS)  # noqa: S311 - spreads load, hides nothing

    def __call__(self, items: Sequence[LogItem]) -> Sequence[LogResult | Exception]:
        """Store ``items``; one result each, in order.

        An item with a decision made under a version of its experiment that is no longer current is not stored: its
        result is ExperimentChanged.
        """
        results: dict[int, LogResult | Exception] = {}
        while remaining := [i for i in range(len(items)) if i not in results]:
            batch = [items[i] for i in remaining]
            try:
                stored = self._store(batch)
            except StaleDecisions as exc:
                stale = [i for i in remaining if _holds(items[i], exc.decision_ids)]
                results |= {i: ExperimentChanged("the experiment changed meanwhile") for i in stale}
            else:
                results |= dict(zip(remaining, stored, strict=True))
        return [results[i] for i in range(len(items))]

    def _store(self, batch: Sequence[LogItem]) -> list[LogResult | Exception]:
        if all(_is_plain(item) for item in batch):
            return self._database.statement(lambda conn: self._log(conn, batch))
        return self._database.transaction(lambda conn: self._log(conn, batch))

    def _log(self, conn: Connection, batch: Sequence[LogItem]) -> list[LogResult | Exception]:
        results: dict[int, LogResult | Exception] = _claim_all(conn, batch)
        new = [(i, item) for i, item in enumerate(batch) if i not in results]
        decisions = {i: item.outcomes for i, item in new if isinstance(item, DecisionItem)}
        rewards = {i: item.outcomes for i, item in new if isinstance(item, RewardItem)}
        results |= self._log_decisions(conn, decisions)
        results |= self._log_rewards(conn, rewards)
        for i, item in new:
            if item.claim is not None:
                store_answer(conn, item.claim, *item.claim.render(results[i]))
        return [results[i] for i in range(len(batch))]

    def _log_decisions(
        self, conn: Connection, requests: dict[int, Sequence[Decision | BanditError]]
    ) -> dict[int, LogResult]:
        decisions = [
            d for outcomes in requests.values() for d in outcomes if isinstance(d, Decision)
        ]
        if not decisions:
            return dict(requests)
        assigned = assign_units(conn, decisions)
        is_new = insert_decisions(conn, assigned, fresh_draws(assigned), self._shard)
        contexts = decision_contexts(assigned)
        if is_new and contexts:
            add_to_contexts(conn, contexts, self._shard)
        return _put_back(requests, assigned, Decision)

    def _log_rewards(
        self, conn: Connection, requests: dict[int, Sequence[Reward | RewardResult]]
    ) -> dict[int, LogResult]:
        rewards = [r for outcomes in requests.values() for r in outcomes if isinstance(r, Reward)]
        if not rewards:
            return _put_back(requests, [], Reward)
        results = log_rewards(conn, rewards, self._snapshots.by_id, self._shard)
        return _put_back(requests, results, Reward)


def _claim_all(conn: Connection, batch: Sequence[LogItem]) -> dict[int, LogResult | Exception]:
    """Claim all Idempotency-Keys, in an order that cannot block two writers; what was answered before, by position."""
    answered: dict[int, LogResult | Exception] = {}
    claims = [
        (item.claim.key_id, item.claim.idempotency_key, i)
        for i, item in enumerate(batch)
        if item.claim
    ]
    for _, _, i in sorted(claims):
        claim = batch[i].claim
        assert claim is not None
        try:
            replay: Replay | None = claim_key(conn, claim)
        except IdempotencyConflict as exc:
            answered[i] = exc
        else:
            if replay is not None:
                answered[i] = replay
    return answered


def _put_back(
    requests: Mapping[int, Sequence[object]], stored: Iterable[object], kind: type
) -> dict[int, LogResult]:
    """Replace, in order, every outcome of this kind by what became of it."""
    following = iter(stored)
    return {
        i: [next(following) if isinstance(o, kind) else o for o in outcomes]  # type: ignore[misc]
        for i, outcomes in requests.items()
    }


def _is_plain(item: LogItem) -> bool:
    """Whether one statement stores it: without Idempotency-Key, of units that keep no arm, by policies without context."""
    return (
        isinstance(item, DecisionItem)
        and item.claim is None
        and not any(isinstance(o, Decision) and (is_sticky(o) or o.scores) for o in item.outcomes)
    )


def _holds(item: LogItem, decision_ids: set[str]) -> bool:
    return isinstance(item, DecisionItem) and any(
        isinstance(outcome, Decision) and outcome.decision_id in decision_ids
        for outcome in item.outcomes
    )

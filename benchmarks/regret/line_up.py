"""Who plays which problem, and what is aimed at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import peers
from players import Ours, Player, ThompsonByDraws
from problems import Problem

from backend.domain import PolicySpec

HALF_LIFE = 40
"""Of an arm's sums in its own later decisions, in both problems that change."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contestant of one problem.

    Attributes:
        label: for the table.
        make: the player of one run.
        library: the peer it comes from; None: Bandstand.
        target: the regret that is aimed at; None: none is.
    """

    label: str
    make: Callable[[Problem, int], Player]
    library: str | None = None
    target: float | None = None


def _ours(
    name: str,
    target: float | None = None,
    half_life: float | None = None,
    kind: type[Ours] = Ours,
    **params: Any,
) -> Entrant:
    """A policy of the registry; its label is what an experiment says."""
    said = [f"{key} {value}" for key, value in params.items()]
    if half_life is not None:
        said.append(f"decay_half_life_decisions {half_life:g}")
    label = f"{name} ({', '.join(said)})" if said else name
    spec = PolicySpec(name, params)
    return Entrant(label, lambda problem, seed: kind(spec, problem, seed, half_life), None, target)


def _thompson(target: float | None = None, half_life: float | None = None) -> Entrant:
    return _ours("thompson_sampling", target, half_life, ThompsonByDraws)


def _pymab(name: str, said: str = "", **params: Any) -> Entrant:
    label = f"PyMAB {name.removesuffix('Policy')}{said}"
    return Entrant(label, peers.pymab(name, **params), peers.PYMAB)


MABWISER = Entrant("MABWiser ThompsonSampling", peers.MABWiserThompson, peers.MABWISER)
RIVER = (
    Entrant("river ThompsonSampling", peers.river_thompson, peers.RIVER),
    Entrant("river BayesUCB", peers.river_bayes_ucb, peers.RIVER),
)
PYMAB_BINARY = (
    _pymab("BernoulliThompsonSamplingPolicy"),
    _pymab("KLUCBPolicy", " (c 1e-9)", c=1e-9),
    _pymab("MOSSPolicy", " (horizon)", horizon=None),
)
PYMAB_GAUSSIAN = (
    _pymab("GaussianThompsonSamplingPolicy"),
    _pymab("MOSSPolicy", " (horizon)", horizon=None),
)
PYMAB_CHANGING = (
    _pymab("CUSUMUCBPolicy"),
    *(
        _pymab("DiscountedBernoulliThompsonSamplingPolicy", f" ({d})", discount_factor=d)
        for d in (0.995, 0.998, 0.999)
    ),
    *(
        _pymab("SlidingWindowBernoulliThompsonSamplingPolicy", f" ({w})", window_size=w)
        for w in (400, 800)
    ),
)


def entrants(problem: Problem) -> list[Entrant]:
    """Everyone who plays ``problem``, Bandstand first."""
    return [*_bandstand(problem), *_peers(problem)]


def _bandstand(problem: Problem) -> list[Entrant]:
    targets = {"a": 60.0, "b": 8.3, "c": 135.0, "c-100": 800.0, "d": 70.0}
    horizon_kl = _ours("finite_horizon_kl", targets.get(problem.key), horizon=problem.horizon)
    if problem.key == "c-batch":
        return [_ours("thompson_sampling"), horizon_kl, _ours("kl_ucb")]
    if problem.key.startswith("e-"):
        aim = 230.0 if problem.key == "e-phases" else 250.0
        return [_thompson(aim, HALF_LIFE), _thompson(), _ours("exp3_ix", horizon=problem.horizon)]
    if problem.deviation is not None:
        return [_thompson(), horizon_kl]
    return [_thompson(), horizon_kl, _ours("kl_ucb")]


def _peers(problem: Problem) -> list[Entrant]:
    if problem.key.startswith("e-"):
        return list(PYMAB_CHANGING)
    if problem.deviation is not None:
        return list(PYMAB_GAUSSIAN)
    if problem.n_arms > 10:
        return list(PYMAB_BINARY)
    return [MABWISER, *RIVER, *PYMAB_BINARY]

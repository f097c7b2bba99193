"""What would another policy have earned, by a log of anybody's: ``python -m backend.evaluate --log FILE``.

FILE has one decision a line, oldest first, as JSON: arm_key, propensity, reward; context where the policy asks for
features; target_propensity where no --policy is given. With --policy that policy learns along the log, over the arms
that occur in it, each decision's vector from the rewards of the decisions before. Without --policy the propensities
are read from target_propensity; dr then takes the log's own predicted_reward and target_predicted_reward, or, where
there are none, a model that does not know arms: the mean reward of the lines before.

Estimators: ips, snips (self-normalised) and dr (doubly robust), each with a 95% interval.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson

from backend.context_features import ContextFeatures
from backend.domain import SMALLEST_RANGE, Json, PolicySpec, RewardSpec, RewardType
from backend.errors import BanditError, InvalidInput
from backend.inference.off_policy import Estimate, Estimator, Evaluation, WeightedLog, evaluate
from backend.policies.registry import build_policy
from backend.policies.replay import IntArray, LoggedDecisions, Replay
from backend.policies.uniform import Uniform
from backend.service.log_file import LogFile, infer_reward, read_for_policy, read_with_target

REWARD_FIELDS = ("type", "min", "max")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a command; 0 with an answer, 2 without one."""
    parser = argparse.ArgumentParser(
        prog="python -m backend.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--log", required=True, metavar="FILE", help="the log; - for stdin")
    parser.add_argument(
        "--policy",
        metavar="JSON",
        help='the target policy: {"type": …, "params": {…}}, or @FILE with that',
    )
    parser.add_argument("--estimators", default=",".join(Estimator), help="default: %(default)s")
    parser.add_argument(
        "--reward",
        metavar="JSON",
        help='{"type": "binary" | "count"} or {"type": "continuous", "min": …, "max": …}; by default binary if all '
        "rewards are 0 or 1, else continuous within those seen",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        evaluation = _evaluate(options)
    except (BanditError, OSError) as exc:
        sys.stderr.write(f"evaluate: {exc}\n")
        return 2
    sys.stdout.write(_as_json(evaluation) if options.json else _as_table(evaluation))
    return 0


def evaluate_policy(
    lines: Iterable[bytes],
    spec: PolicySpec,
    estimators: Sequence[Estimator] = tuple(Estimator),
    reward: RewardSpec | None = None,
) -> Evaluation:
    """The value of the policy that ``spec`` names, learning along the log.

    Raises:
        InvalidPolicy: as for an experiment.
        InvalidInput: a line is wrong.
    """
    declared = spec.params.get("context_features")
    features = None if declared is None else ContextFeatures.parse(declared)
    log = read_for_policy(lines, reward, features)
    policy = build_policy(spec, reward or infer_reward(log.rewards))
    n_arms = len(log.arm_keys)
    judged = Replay(policy, n_arms).follow(_decisions(log, log.arm_ids, n_arms))
    weighted = WeightedLog(
        log.rewards,
        log.propensities,
        judged.target_propensities,
        judged.predicted_rewards,
        judged.target_predicted_rewards,
    )
    return evaluate(weighted, estimators)


def evaluate_target(
    lines: Iterable[bytes],
    estimators: Sequence[Estimator] = tuple(Estimator),
    reward: RewardSpec | None = None,
) -> Evaluation:
    """The value of the policy whose propensities are in the log. Raises InvalidInput."""
    log = read_with_target(lines, reward)
    predicted, target_predicted = log.predicted_rewards, log.target_predicted_rewards
    if predicted is None or target_predicted is None:
        as_one_arm = np.zeros_like(log.arm_ids)
        judged = Replay(Uniform(), 1).follow(_decisions(log, as_one_arm, 1))
        predicted, target_predicted = judged.predicted_rewards, judged.target_predicted_rewards
    assert log.target_propensities is not None
    weighted = WeightedLog(
        log.rewards, log.propensities, log.target_propensities, predicted, target_predicted
    )
    return evaluate(weighted, estimators)


def _evaluate(options: argparse.Namespace) -> Evaluation:
    estimators = _estimators(options.estimators)
    reward = None if options.reward is None else _reward(options.reward)
    spec = None if options.policy is None else _policy(options.policy)
    with _opened(options.log) as lines:
        if spec is None:
            return evaluate_target(lines, estimators, reward)
        return evaluate_policy(lines, spec, estimators, reward)


def _decisions(log: LogFile, arm_ids: IntArray, n_arms: int) -> LoggedDecisions:
    every_arm = np.ones((1, n_arms), dtype=np.bool_)
    set_ids = np.zeros_like(arm_ids)
    return LoggedDecisions(arm_ids, log.propensities, log.rewards, set_ids, every_arm, log.features)


@contextmanager
def _opened(name: str) -> Iterator[Iterable[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as lines:
        yield lines


def _estimators(names: str) -> list[Estimator]:
    allowed = list(Estimator)
    split = [name.strip() for name in names.split(",")]
    for name in split:
        if name not in allowed:
            raise InvalidInput({"--estimators": [f"no '{name}'; there are: {', '.join(allowed)}"]})
    return [Estimator(name) for name in split]


def _policy(text: str) -> PolicySpec:
    content = Path(text[1:]).read_bytes() if text.startswith("@") else text
    value = _object("--policy", content, ("type", "params"))
    kind, params = value.get("type"), value.get("params", {})
    if not isinstance(kind, str) or not isinstance(params, dict):
        raise InvalidInput({"--policy": ['must be {"type": "…", "params": {…}}']})
    return PolicySpec(kind, params)


def _reward(text: str) -> RewardSpec:
    value = _object("--reward", text, REWARD_FIELDS)
    kinds = list(RewardType)
    if value.get("type") not in kinds:
        raise InvalidInput({"--reward": [f"type must be one of: {', '.join(kinds)}"]})
    kind = RewardType(value["type"])
    if kind is not RewardType.CONTINUOUS:
        return RewardSpec(kind)
    low, high = value.get("min"), value.get("max")
    if not all(bound is None or type(bound) in (int, float) for bound in (low, high)):
        raise InvalidInput({"--reward": ["min and max must be numbers"]})
    if low is not None and high is not None:
        least = SMALLEST_RANGE * max(1.0, abs(low), abs(high))
        if high - low < least:
            raise InvalidInput({"--reward": [f"min must be below max, by at least {least:g}"]})
    return RewardSpec(kind, low, high)


def _object(option: str, text: str | bytes, allowed: Sequence[str]) -> Json:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise InvalidInput({option: [f"not valid JSON: {exc}"]}) from exc
    if not isinstance(value, dict) or set(value) - set(allowed):
        raise InvalidInput({option: [f"must be a JSON object with: {', '.join(allowed)}"]})
    return value


def _as_json(evaluation: Evaluation) -> str:
    answer = {
        "n": evaluation.n,
        "effective_sample_size": evaluation.effective_sample_size,
        "estimates": {
            name: {"value": estimate.value, "interval": list(estimate.interval)}
            for name, estimate in evaluation.estimates.items()
        },
        "warnings": evaluation.warnings,
    }
    return json.dumps(answer) + "\n"


def _as_table(evaluation: Evaluation) -> str:
    lines = [
        f"decisions              {evaluation.n}",
        f"effective sample size  {evaluation.effective_sample_size:.1f}",
        "",
        f"{'estimator':<9}  {'value':>12}  {'95% interval':>28}",
        *(_row(name, estimate) for name, estimate in evaluation.estimates.items()),
        *(f"warning: {warning}" for warning in evaluation.warnings),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, estimate: Estimate) -> str:
    low, high = (_shown(bound) for bound in estimate.interval)
    return f"{name:<9}  {_shown(estimate.value):>12}  {f'[{low}, {high}]':>28}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


if __name__ == "__main__":
    sys.exit(main())

"""``python -m backend.evaluate``: other people's logs, and what is wrong with them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.domain import RewardSpec, RewardType
from backend.evaluate import main
from backend.policies.registry import POLICIES
from backend.service.log_file import infer_reward

UNIFORM = '{"type": "uniform", "params": {}}'
GOLDEN = Path(__file__).parent / "inference/data/open_bandit_pipeline.json"
LINE = {"arm_key": "a", "propensity": 0.5, "reward": 1, "target_propensity": 0.5}


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the command over these lines: its exit code, output and errors."""

    def call(lines, *options):
        text = lines if isinstance(lines, str) else "".join(json.dumps(x) + "\n" for x in lines)
        path = tmp_path / "log.ndjson"
        path.write_text(text, encoding="utf-8")
        code = main(["--log", str(path), *options])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def answer(run, lines, *options):
    code, out, err = run(lines, "--json", *options)
    assert (code, err) == (0, ""), err
    return json.loads(out)


def line(arm_key, propensity, reward, **fields):
    return {"arm_key": arm_key, "propensity": propensity, "reward": reward, **fields}


def test_with_the_targets_propensities_in_the_log(run):
    """Weights 2 and 0.5: ips is (2 x 1 + 0.5 x 0) / 2 = 1; snips 2 / 2.5 = 0.8; effective 2.5^2 / 4.25."""
    log = [
        line("a", 0.25, 1, target_propensity=0.5),
        line("b", 0.8, 0, target_propensity=0.4),
    ]

    found = answer(run, log, "--estimators", "ips,snips")

    assert found["n"] == 2
    assert found["effective_sample_size"] == pytest.approx(2.5**2 / 4.25)
    assert found["estimates"]["ips"]["value"] == pytest.approx(1.0)
    assert found["estimates"]["snips"]["value"] == pytest.approx(0.8)
    assert len(found["estimates"]["ips"]["interval"]) == 2
    assert any("under 100" in warning for warning in found["warnings"])
    assert set(found) == {"n", "effective_sample_size", "estimates", "warnings"}


def test_dr_without_arms_takes_the_mean_of_the_lines_before(run):
    """Model: 0, then (1 + 1) / 2 = 1 after a reward of 1. Terms 0 + 2 (1 - 0) = 2 and 1 + 0.5 (0 - 1) = 0.5: 1.25."""
    log = [
        line("a", 0.25, 1, target_propensity=0.5),
        line("b", 0.8, 0, target_propensity=0.4),
    ]

    assert answer(run, log)["estimates"]["dr"]["value"] == pytest.approx(1.25)


def test_equals_the_open_bandit_pipeline_on_a_log_with_a_model(run):
    """Its three values for the same log: the target's propensities and a reward model's predictions in the lines."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    log = [
        line(
            str(arm_id),
            propensity,
            reward,
            target_propensity=target[arm_id],
            predicted_reward=predicted[arm_id],
            target_predicted_reward=float(np.dot(target, predicted)),
        )
        for arm_id, propensity, reward, target, predicted in zip(
            golden["arm_ids"],
            golden["propensities"],
            golden["rewards"],
            golden["target_probabilities"],
            golden["predicted_rewards"],
            strict=True,
        )
    ]

    estimates = answer(run, log)["estimates"]

    values = {name: estimate["value"] for name, estimate in estimates.items()}
    assert values == pytest.approx(golden["values"], abs=1e-9, rel=0)


def test_a_fixed_policy_over_the_arms_of_the_log(run):
    """Uniform over three: weights (1/3) / propensity: 4/3, 2/3, 2/3; rewards 1, 0, 1: ips (4/3 + 2/3) / 3 = 2/3."""
    log = [line("a", 0.25, 1), line("b", 0.5, 0), line("c", 0.5, 1)]

    assert answer(run, log, "--policy", UNIFORM)["estimates"]["ips"]["value"] == pytest.approx(
        2 / 3
    )


def test_a_policy_that_learns(run):
    """Greedy, even at first: a has 1/2, then, while b has no data, b has 1, then a, with the better mean.

    Weights 1, 2, 2, 0; rewards 1, 0, 1, 1: ips (1 + 0 + 2 + 0) / 4.
    """
    log = [line("a", 0.5, 1), line("b", 0.5, 0), line("a", 0.5, 1), line("b", 0.5, 1)]
    policy = '{"type": "epsilon_greedy", "params": {"epsilon": 0}}'

    assert answer(run, log, "--policy", policy)["estimates"]["ips"]["value"] == pytest.approx(0.75)


def test_a_policy_from_a_file(run, tmp_path):
    """@FILE; the same as in words."""
    path = tmp_path / "policy.json"
    path.write_text(UNIFORM, encoding="utf-8")
    log = [line("a", 0.5, 1), line("b", 0.5, 0)]

    assert answer(run, log, "--policy", f"@{path}") == answer(run, log, "--policy", UNIFORM)


def policy_of(name):
    params = {"horizon": 100} if name == "finite_horizon_kl" else {}
    if name in ("linear_thompson", "lin_ucb", "squarecb"):
        feature = {"name": "x", "type": "numeric", "min": 0, "max": 1}
        params = {"context_features": [feature]}
    return json.dumps({"type": name, "params": params})


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("rewards", [(0, 1), (-2.5, 4)], ids=["binary", "continuous"])
def test_every_policy(run, rng, name, rewards):
    """A value for each, from a log of 300 even draws with contexts that have a feature too many."""
    log = [
        line(
            "abc"[rng.integers(3)],
            1 / 3,
            float(rng.choice(rewards)),
            context={"x": float(rng.random()), "other": "y"},
        )
        for _ in range(300)
    ]

    found = answer(run, log, "--policy", policy_of(name))

    assert found["n"] == 300
    assert all(estimate["value"] is not None for estimate in found["estimates"].values())


def test_a_table_for_people(run):
    """Counts, one line an estimator, warnings below; a single decision has no interval."""
    code, out, _ = run([LINE], "--estimators", "ips")

    assert code == 0
    assert [row.split() for row in out.splitlines()][:5] == [
        ["decisions", "1"],
        ["effective", "sample", "size", "1.0"],
        [],
        ["estimator", "value", "95%", "interval"],
        ["ips", "1", "[-,", "-]"],
    ]
    assert out.splitlines()[5].startswith("warning: the effective sample size is 1.0")


def test_stdin_and_blank_lines(monkeypatch, capsys):
    """``--log -``."""
    text = json.dumps(LINE).encode() + b"\n\n" + json.dumps(LINE).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))

    assert main(["--log", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 2


def test_runs_as_a_module(tmp_path):
    """As people call it; an error is one line, without a traceback, and its exit code is 2."""
    path = tmp_path / "log.ndjson"
    path.write_text("nonsense\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "backend.evaluate", "--log", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("evaluate: line 1: not valid JSON")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('{"arm_key": "a"', "line 2: not valid JSON"),
        ('{"reward": NaN}', "line 2: not valid JSON"),
        ("[]", "line 2: must be a JSON object"),
        ({**LINE, "arm_key": 1}, "line 2: arm_key must be a string"),
        ({**LINE, "propensity": 0}, "line 2: propensity must be in (0, 1], got 0"),
        ({**LINE, "propensity": 1.5}, "line 2: propensity must be in (0, 1], got 1.5"),
        ({**LINE, "propensity": None}, "line 2: propensity is missing"),
        ({**LINE, "propensity": "0.5"}, "line 2: propensity must be a number"),
        ({**LINE, "reward": True}, "line 2: reward must be a number"),
        ({**LINE, "reward": 1e16}, "line 2: reward must be in [-1e+15, 1e+15], got 1e+16"),
        ({**LINE, "target_propensity": None}, "line 2: target_propensity is missing"),
        ({**LINE, "target_propensity": -0.1}, "line 2: target_propensity must be in [0, 1]"),
        ({**LINE, "predicted_reward": 1}, "line 2: target_predicted_reward is missing"),
        (
            {**LINE, "predicted_reward": 1, "target_predicted_reward": 1},
            "line 2: predicted_reward is here, but not in the lines before",
        ),
    ],
)
def test_a_wrong_line_is_named(run, second, message):
    """Exit 2 and one line that says which line, and what is allowed."""
    text = second if isinstance(second, str) else json.dumps(second)

    code, out, err = run(f"{json.dumps(LINE)}\n{text}\n")

    assert (code, out) == (2, "")
    assert err.startswith(f"evaluate: {message}")
    assert err.count("\n") == 1


def test_predictions_must_go_on(run):
    """They are in the first line, so they must be in the second."""
    first = {**LINE, "predicted_reward": 1, "target_predicted_reward": 1}

    assert run([first, LINE])[2] == "evaluate: line 2: predicted_reward is missing\n"


FEATURES = [{"name": "x", "type": "numeric", "min": 0, "max": 1}]


@pytest.mark.parametrize(
    ("context", "message"),
    [({}, "context.x: Missing"), ({"x": "1"}, "context.x: Must be a number"), (3, "context must")],
)
def test_a_context_that_cannot_be_encoded(run, context, message):
    """The line and the feature."""
    policy = json.dumps({"type": "lin_ucb", "params": {"context_features": FEATURES}})

    code, _, err = run([line("a", 0.5, 1, context=context)], "--policy", policy)

    assert code == 2
    assert err.startswith(f"evaluate: line 1: {message}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--estimators", "ips,dm"], "--estimators: no 'dm'; there are: ips, snips, dr"),
        (["--policy", "{"], "--policy: not valid JSON"),
        (["--policy", "[]"], "--policy: must be a JSON object with: type, params"),
        (["--policy", '{"kind": "uniform"}'], "--policy: must be a JSON object with"),
        (["--policy", '{"params": {}}'], '--policy: must be {"type"'),
        (["--policy", '{"type": "best"}'], "no policy 'best'; there are: uniform"),
        (["--policy", '{"type": "epsilon_greedy", "params": {"epsilon": 2}}'], "epsilon must be"),
        (["--policy", "@/does/not/exist"], "[Errno 2]"),
        (["--reward", "binary"], "--reward: not valid JSON"),
        (["--reward", '{"type": "odd"}'], "--reward: type must be one of: binary, count"),
        (["--reward", '{"type": "continuous", "min": "0"}'], "--reward: min and max must be"),
        (["--reward", '{"type": "continuous", "min": 1, "max": 1}'], "--reward: min must be below"),
        (["--reward", '{"type": "continuous", "max": 0.5}'], "line 1: the reward 1 is above"),
    ],
)
def test_a_wrong_option_is_named(run, options, message):
    """Exit 2 and one line."""
    code, out, err = run([LINE], *options)

    assert (code, out) == (2, "")
    assert err.startswith(f"evaluate: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--policy", UNIFORM]])
def test_an_empty_log_is_an_error(run, options):
    """Nothing was asked."""
    assert run("\n", *options) == (
        2,
        "",
        "evaluate: log: it is empty: one decision a line is needed\n",
    )


def test_a_missing_file(capsys):
    """One line."""
    assert main(["--log", "/does/not/exist"]) == 2
    assert capsys.readouterr().err.startswith("evaluate: [Errno 2]")


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        ([0, 1, 1], RewardSpec()),
        ([0, 0.5], RewardSpec(RewardType.CONTINUOUS, 0.0, 0.5)),
        ([-1, 3], RewardSpec(RewardType.CONTINUOUS, -1.0, 3.0)),
        ([7, 7], RewardSpec(RewardType.CONTINUOUS, None, None)),
    ],
)
def test_the_kind_of_reward_is_inferred(rewards, expected):
    """0 and 1 alone are binary; others are bounded by those seen, unless they are all alike."""
    assert infer_reward(np.array(rewards, dtype=float)) == expected


def test_a_kind_of_reward_that_is_given(run):
    """Counts: a Gamma posterior in place of a normal one makes another vector."""
    log = [line("ab"[i % 2], 0.5, i % 3) for i in range(20)]
    policy = ["--policy", '{"type": "thompson_sampling"}']

    counts = answer(run, log, *policy, "--reward", '{"type": "count"}')
    bounded = answer(run, log, *policy, "--reward", '{"type": "continuous", "min": 0, "max": 2}')

    assert counts != bounded
    assert bounded == answer(run, log, *policy)

"""``deploy-cli plan-experiment``: what it asks a service, what it shows, and how it fails."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from rich.console import Console

from deploy_cli import environments
from deploy_cli.cli import main
from deploy_cli.environments import Outputs
from deploy_cli.errors import ApiRefused, ApiUnreachable
from deploy_cli.local.ports import free_port
from deploy_cli.plan import display, request, scenario
from deploy_cli.plan.request import PlannerApi
from tests.deploy.test_api import serve  # noqa: F401 - a fixture


def compared(policy: float, even: float, share: float | None) -> dict[str, Any]:
    saved = even - policy
    return {
        "policy": {"mean": policy, "interval": [policy, policy]},
        "even_split": {"mean": even, "interval": [even, even]},
        "saved": {"mean": saved, "interval": [saved - 1, saved + 1]},
        "relative_saved": share,
    }


PLAN = {
    "time_to_decision": {
        "share_decided": 0.93,
        "median_days": 6.2,
        "quantiles_days": {"0.1": 2.0, "0.5": 6.2, "0.9": 20.0},
        "even_split": {"share_decided": 0.4, "median_days": None, "quantiles_days": {}},
    },
    "regret": compared(170.0, 1400.0, 0.8786),
    "regret_with_stopping": compared(150.0, 430.0, 0.6512),
    "wrong_winner": {
        "probability": 0.04,
        "interval": [0.02, 0.077],
        "share_undecided": 0.07,
        "even_split": {"probability": 0.01, "interval": [0.0, 0.03], "share_undecided": 0.6},
    },
    "best_arm_key": "green",
    "n_runs": 200,
    "seed": 1,
    "curves": [
        {
            "day": day / 2,
            "allocation": {"control": 0.25, "green": 0.75},
            "regret_policy": 10.0,
            "regret_even_split": 10.0 + 25 * day,
            "share_decided": 0.5,
            "share_decided_even_split": 0.3,
        }
        for day in range(1, 57)
    ],
    "notes": ["blue: within 1% of the best arm."],
    "assumptions": {
        "arms": [{"key": "control"}, {"key": "green"}],
        "decisions_per_day": 5000,
        "max_days": 28,
        "policy": {"type": "thompson_sampling", "params": {}},
    },
}
STREAM = b'{"progress": 0.5}\n{"progress": 1.0}\n' + json.dumps({"result": PLAN}).encode() + b"\n"
WORDS = ("--arm", "control=0.10", "--arm", "green=0.12", "--decisions-per-day", "5000")


@pytest.fixture
def ask(monkeypatch, capsys):
    """Runs the verb against a service at ``url``; its exit code and what it printed."""

    def run(url: str, *words: str) -> tuple[int | None, str, str]:
        class Local:
            def outputs(self) -> Outputs:
                return Outputs(url, "site", "bs_key", "database")

        monkeypatch.setattr(environments, "load", lambda _name: Local())
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setattr(
            sys, "argv", ["deploy-cli", "plan-experiment", "--env", "local", *words]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err

    return run


def test_asks_for_what_was_said(serve, ask):  # noqa: F811
    """The whole body; progress is asked for."""
    server = serve((200, {}, STREAM))

    more = ("--policy", "finite_horizon_kl", "--param", "horizon=140000", "--reward", "continuous")
    numbers = ("--max-days", "7", "--runs", "50", "--seed", "3", "--reward-delay-s", "60")
    code, _, _ = ask(server.url, *WORDS, "--arm", "blue=1,0.5", *more, *numbers)

    ((method, path, headers, body),) = server.requests
    assert not code
    assert (method, path) == ("POST", "/api/v1/simulations")
    assert headers["Authorization"] == "Bearer bs_key"
    assert headers["Accept"] == "application/x-ndjson"
    assert json.loads(body) == {
        "arms": [
            {"key": "control", "mean": 0.1},
            {"key": "green", "mean": 0.12},
            {"key": "blue", "mean": 1.0, "standard_deviation": 0.5},
        ],
        "reward": {"type": "continuous"},
        "policy": {"type": "finite_horizon_kl", "params": {"horizon": 140000.0}},
        "decisions_per_day": 5000,
        "max_days": 7,
        "n_runs": 50,
        "reward_delay_s": 60.0,
        "seed": 3,
    }


def test_json_is_the_answer_alone(serve, ask):  # noqa: F811
    """No bar, no table."""
    code, out, err = ask(serve((200, {}, STREAM)).url, *WORDS, "--json")

    assert (not code, json.loads(out), err) == (True, PLAN, "")


def test_shows_a_few_lines_and_a_table(serve, ask):  # noqa: F811
    """Eight of the 56 moments, each seventh, ending with the last; 25 saved each half day: 1,400 at the end."""
    code, out, _ = ask(serve((200, {}, STREAM)).url, *WORDS)

    assert not code
    assert "2 arms, 5,000 decisions a day for 28 days, policy thompson_sampling; 200 runs" in out
    assert "Decided within 28 days: 93% of runs, half of all by day 6.2; an even split: 40%" in out
    assert "170.0 against 1,400.0 of an even split; saved 1,230.0 (88%), 95%: 1,229.0" in out
    assert "Wrong winner: 4.0% of runs (95%: 2.0% to 7.7%); an even split 1.0%." in out
    assert "Note: blue: within 1% of the best arm." in out
    rows = [line for line in out.splitlines() if "control 25%  green 75%" in line]
    assert len(rows) == 8
    assert "28.0" in rows[-1]
    assert "1,400.0" in rows[-1]


def test_many_arms_are_cut_to_the_largest():
    """Six arms, the four with the largest shares in their order."""
    allocation = {"a": 0.3, "b": 0.05, "c": 0.2, "d": 0.05, "e": 0.25, "f": 0.15}
    point = {**PLAN["curves"][0], "allocation": allocation}
    console = Console(width=100)

    with console.capture() as captured:
        console.print(display.table({**PLAN, "curves": [point]}))

    assert "a 30%  c 20%  e 25%  f 15%  …" in captured.get()


def test_nothing_to_save_is_no_share():
    """Among equal arms the even split loses nothing."""
    lines = list(display.summary({**PLAN, "regret": compared(0.0, 0.0, None)}))

    assert any("saved 0.0, 95%: -1.0 to 1.0." in line for line in lines)


def test_a_terminal_gets_a_bar():
    """And anything else nothing at all."""
    terminal, file = (
        Console(force_terminal=is_terminal, width=80) for is_terminal in (True, False)
    )
    shown = []
    for console in (terminal, file):
        with console.capture() as captured, display.progress(console) as on_progress:
            on_progress(0.5)
        shown.append(captured.get())

    assert "50%" in shown[0]
    assert shown[1] == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--arm", "green"), "write KEY=MEAN or KEY=MEAN,SD"),
        (("--arm", "green=high"), "write KEY=MEAN or KEY=MEAN,SD"),
        (("--arm", "green=inf"), "write KEY=MEAN or KEY=MEAN,SD"),
        (("--arm", "green=1,2,3"), "write KEY=MEAN or KEY=MEAN,SD"),
        (("--param", "horizon=1,2"), "write NAME=NUMBER"),
        (("--param", "horizon"), "write NAME=NUMBER"),
        (("--runs", "0"), "--runs"),
        (("--reward", "money"), "--reward"),
    ],
)
def test_misuse_is_told_before_anything_is_asked(ask, words, said):
    """Exit code 2; nobody listens at the address."""
    code, out, err = ask(f"http://127.0.0.1:{free_port()}", *WORDS, *words)

    assert (code, out) == (2, "")
    assert said in err


def test_a_refusal_is_told_with_its_fields(serve, ask):  # noqa: F811
    """Exit code 1, and no traceback."""
    problem = {"detail": "n_runs: at most 500", "errors": {"n_runs": ["at most 500"]}}

    code, out, err = ask(serve((422, {}, problem)).url, *WORDS)

    assert (code, out) == (1, "")
    assert "answered 422: n_runs: at most 500" in err
    assert "Traceback" not in err


@pytest.fixture
def api():
    """A session with the server at a URL, of little patience."""
    sessions = []

    def start(url: str, patience_s: float = 5.0, **options: Any) -> PlannerApi:
        sessions.append(PlannerApi(url, "k", patience_s=patience_s, **options))
        return sessions[-1]

    yield start
    for session in sessions:
        session.__exit__(None, None, None)


def test_a_busy_planner_is_asked_again(serve, api, monkeypatch):  # noqa: F811
    """503, then the plan; both progress lines are heard."""
    monkeypatch.setattr(request, "WAIT_S", 0.01)
    waits, heard = [], []
    server = serve((503, {}, {}), (200, {}, STREAM))

    plan = api(server.url, on_wait=waits.append).plan({}, heard.append)

    assert plan == PLAN
    assert (len(waits), heard) == (1, [0.5, 1.0])


@pytest.mark.parametrize("is_there", [True, False])
def test_patience_ends(serve, api, monkeypatch, is_there):  # noqa: F811
    """A service that stays busy, or is not there."""
    monkeypatch.setattr(request, "WAIT_S", 0.05)
    url = serve((503, {}, {})).url if is_there else f"http://127.0.0.1:{free_port()}"
    trouble = "answered 503" if is_there else "no answer"

    with pytest.raises(ApiUnreachable, match=f"POST /simulations: {trouble}"):
        api(url, patience_s=0.2).plan({}, [].append)


def test_a_plan_that_fails_on_the_way_is_told(serve, api):  # noqa: F811
    """The last line of the stream is a problem."""
    line = {"problem": {"detail": "longer than 60 s; ask for fewer runs", "status": 422}}
    server = serve((200, {}, b'{"progress": 0.1}\n' + json.dumps(line).encode()))

    with pytest.raises(ApiRefused, match="ask for fewer runs") as refused:
        api(server.url).plan({}, [].append)
    assert refused.value.status == 422


def test_an_answer_that_breaks_off_is_told(serve, api):  # noqa: F811
    """Neither a result nor a problem."""
    with pytest.raises(ApiUnreachable, match="the answer broke off"):
        api(serve((200, {}, b'{"progress": 0.1}\n')).url).plan({}, [].append)


def test_numbers_of_an_arm():
    """With and without a standard deviation."""
    assert scenario.arm("a=1e-3") == {"key": "a", "mean": 0.001}
    assert scenario.arm("a=-1,2") == {"key": "a", "mean": -1.0, "standard_deviation": 2.0}

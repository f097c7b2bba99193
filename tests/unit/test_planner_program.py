"""``python -m backend.plan`` as a program."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "backend.plan")
SCENARIO = {
    "arms": [{"key": "a", "mean": 0.1}, {"key": "b", "mean": 0.2}],
    "reward": {"type": "binary", "min": None, "max": None},
    "policy": {"type": "thompson_sampling", "params": {}},
    "allocation": {"probability_floor": 0.0, "control_share": 0.0},
    "decisions_per_day": 100,
    "max_days": 1,
    "n_runs": 250,
    "update_interval_s": 86400,
}


def run(stdin):
    return subprocess.run(COMMAND, input=stdin, cwd=ROOT, capture_output=True, check=False)


def test_prints_progress_by_the_hundredth_and_the_result():
    """250 runs of one day, 100 lines of progress."""
    ended = run(json.dumps(SCENARIO).encode())
    *progress, last = map(json.loads, ended.stdout.splitlines())

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert [line["progress"] for line in progress] == [i / 100 for i in range(1, 101)]
    assert last["result"]["n_runs"] == 250


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b"[]",
        b"{}",
        json.dumps({**SCENARIO, "arms": 3}).encode(),
        json.dumps({**SCENARIO, "more": 3}).encode(),
        json.dumps({**SCENARIO, "reward": {"type": "odd", "min": 0, "max": 1}}).encode(),
        json.dumps({**SCENARIO, "policy": {"type": "odd", "params": {}}}).encode(),
    ],
)
def test_says_what_is_no_scenario(stdin):
    """One line, no traceback."""
    ended = run(stdin)

    assert ended.returncode == 2
    assert ended.stdout == b""
    assert ended.stderr.startswith(b"plan: this is no scenario: ")
    assert ended.stderr.count(b"\n") == 1


def test_ends_when_nobody_reads_any_more():
    """So no planner outlives the worker that started it."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT
    )
    os.close(writing)
    os.close(reading)

    _, said = process.communicate(json.dumps(SCENARIO).encode())

    assert (process.returncode, said) == (1, b"")

"""The closed-loop loads, run in turns so that a noisy machine treats all of them alike."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import workers
import wrk
from wrk import Run, Target

DECISIONS, DECISION_BATCHES, REWARDS = "decisions.lua", "decision_batches.lua", "rewards.lua"
SERVICE, CEILING, PEER = "service", "ceiling", "peer"
REWARD_BATCH = 100
WARM_UP_S = 1
REST_S = 0.3
IDS_TO_SPARE = 1.3


@dataclass(frozen=True, slots=True)
class Load:
    """One thing to measure: which script against whom, and which point (a-e) it belongs to."""

    point: str
    label: str
    script: str
    contestant: str
    batch_size: int = 1
    expected_rate: float = 2_500.0
    """A guess of the rate; rewards get enough decisions for this or the last measured one."""

    @property
    def sends_rewards(self) -> bool:
        """Whether it needs decisions made before it."""
        return self.script == REWARDS


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running server, and how to make decisions in it that rewards can belong to."""

    target: Target
    add_decisions: Callable[[int], list[str]] = lambda _: []


@dataclass(frozen=True, slots=True)
class Played:
    """One run. Round 0 is the warm-up."""

    load: Load
    round: int
    run: Run
    decisions_added: int
    """How many decisions were made to prepare it."""
    server_cpu_s: float
    """Processor time of the server's workers during it; 0 where it cannot be read."""

    @property
    def rate(self) -> float:
        """Correct decisions or rewards a second."""
        return self.run.rate


def all_loads(decision_batch: int) -> tuple[Load, ...]:
    """Every load in the order of a round: those compared with each other are neighbours."""
    rewards, batch = f"rewards, {REWARD_BATCH} at a time", f"decisions, {decision_batch} at a time"
    return (
        Load("d", "bare Flask, same answer", DECISIONS, CEILING),
        Load("a", "decisions, one at a time", DECISIONS, SERVICE),
        Load("e", "FastAPI + asyncpg: decisions", DECISIONS, PEER),
        Load("b", "rewards, one at a time", REWARDS, SERVICE),
        Load("e", "FastAPI + asyncpg: rewards", REWARDS, PEER),
        Load("b", rewards, REWARDS, SERVICE, REWARD_BATCH, 15_000.0),
        Load("c", batch, DECISION_BATCHES, SERVICE, decision_batch),
    )


def groups(loads: Sequence[Load]) -> list[Sequence[Load]]:
    """Loads that may share rounds: batches come last, because the millions of rows they leave keep
    PostgreSQL's vacuum busy for a while.
    """
    single = [load for load in loads if load.batch_size == 1]
    batches = [load for load in loads if load.batch_size > 1]
    return [group for group in (single, batches) if group]


def play(
    loads: Sequence[Load],
    contestants: Mapping[str, Contestant],
    scratch: Path,
    *,
    n_rounds: int,
    seconds: int,
) -> Iterator[Played]:
    """Run every load once as a warm-up and then in ``n_rounds`` rounds of ``seconds`` each."""
    rates = {load: load.expected_rate for load in loads}
    for number in range(n_rounds + 1):
        for load in loads:
            contestant = contestants[load.contestant]
            length = seconds if number else WARM_UP_S
            played = _play_one(load, contestant, scratch, number, length, rates[load])
            rates[load] = max(played.run.rate, load.expected_rate)
            yield played


def _play_one(
    load: Load, contestant: Contestant, scratch: Path, number: int, seconds: int, rate: float
) -> Played:
    """Make the decisions that ``load`` will reward at about ``rate``, then run it."""
    ids: list[str] = []
    ids_file = scratch / "decision_ids"
    if load.sends_rewards:
        n_ids = int(rate * seconds * IDS_TO_SPARE) + wrk.CONNECTIONS * load.batch_size
        ids = contestant.add_decisions(n_ids)
        ids_file.write_text("".join(f"{decision_id}\n" for decision_id in ids))
    pids = workers.find(contestant.target.port)
    time.sleep(REST_S)
    cpu_before_s = workers.cpu_s(pids)
    run = wrk.run(
        load.script,
        contestant.target,
        seconds,
        label=f"round{number}",
        batch_size=load.batch_size,
        ids=ids_file,
    )
    return Played(load, number, run, len(ids), workers.cpu_s(pids) - cpu_before_s)

"""One run of the benchmark: measure everything asked for, then ask the database about it."""

import asyncio
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import audit
import line_up
import open_loop
import report
import rounds
import workers
from audit import Stored
from open_loop import Latencies
from options import Options
from progress import say
from report import Row
from rounds import SERVICE, Load, Played
from wrk import Target

OPEN_LOOP_RATE = 100
REST_BEFORE_OPEN_LOOP_S = 2.0


class Bench:
    """Holds what was started and what was seen."""

    def __init__(self, options: Options, scratch: Path, stack: ExitStack) -> None:
        self._options = options
        self._scratch = scratch
        self._line_up = line_up.start(options, scratch, stack)
        self._series: dict[Load, list[Played]] = defaultdict(list)
        self._answered = Stored(0, 0)
        self._before = self._stored()
        self.kept_everything = True
        url = self._line_up.database_url
        self.database = audit.server_settings(url) if url else "none"

    def measure(self) -> list[Row]:
        """Everything that was asked for, as the rows of the table."""
        points = self._options.points
        self._play()
        rows = [self._rate_row(load, played) for load, played in self._series.items()]
        rows += [report.ratio_row(ratio, self._series) for ratio in report.ratios(self._series)]
        if "f" in points:
            rows += self._latency_rows()
        if "g" in points:
            found = [workers.memory(pid) for pid in workers.find(self._target.port)]
            rows.append(report.memory_row(found))
        if self._answered.decisions:
            rows += self._checks()
        return rows

    def _play(self) -> None:
        """Run the closed-loop loads that were asked for."""
        options = self._options
        loads = [load for load in rounds.all_loads(options.batch) if load.point in options.points]
        for group in rounds.groups(loads):
            for played in rounds.play(
                group,
                self._line_up.contestants,
                self._scratch,
                n_rounds=options.rounds,
                seconds=options.seconds,
            ):
                self._note(played)

    def _note(self, played: Played) -> None:
        """Keep one run; the warm-up counts only for what the log must hold."""
        load, run = played.load, played.run
        name = f"round {played.round}" if played.round else "warm-up"
        say(f"{name}: ({load.point}) {load.label}: {run.rate:,.0f}/s")
        if played.round:
            self._series[load].append(played)
        if load.contestant == SERVICE and load.sends_rewards:
            self._count(played.decisions_added, run.correct)
        elif load.contestant == SERVICE:
            self._count(run.correct, 0)

    def _count(self, decisions: int, rewards: int) -> None:
        """Remember how much the service said it stored."""
        before = self._answered
        self._answered = Stored(before.decisions + decisions, before.rewards + rewards)

    def _rate_row(self, load: Load, played: list[Played]) -> Row:
        return (report.batch_row if load.point == "c" else report.rate_row)(load, played)

    def _latency_rows(self) -> list[Row]:
        seconds = self._options.open_loop_seconds
        say(f"open loop: {OPEN_LOOP_RATE} requests/s for {seconds} s")
        time.sleep(REST_BEFORE_OPEN_LOOP_S)
        latencies: Latencies = asyncio.run(open_loop.measure(self._target, OPEN_LOOP_RATE, seconds))
        self._count(latencies.n_decisions, latencies.n_rewards)
        return report.latency_rows(latencies, OPEN_LOOP_RATE, seconds)

    @property
    def _target(self) -> Target:
        return self._line_up.contestants[SERVICE].target

    def _stored(self) -> Stored:
        running = self._line_up.service
        return audit.stored(running.database_url) if running else Stored(0, 0)

    def _checks(self) -> list[Row]:
        """Compare what was answered with what the database has."""
        assert self._line_up.service is not None
        say("checking the log")
        now, answered = self._stored(), self._answered
        agree, said = audit.statistics_agree(self._line_up.service.database_url)
        if not agree:
            say(said)
        decisions = now.decisions - self._before.decisions
        rewards = now.rewards - self._before.rewards
        rows = [
            report.stored_row("decisions in the log", decisions, answered.decisions),
            report.stored_row("rewards in the log", rewards, answered.rewards),
            report.agreement_row(agree),
        ]
        self.kept_everything = all(row.met == report.yes(True) for row in rows)
        return rows

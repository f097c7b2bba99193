"""Showing a run: a progress bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from deploy_cli.demo.replay import Outcome
from deploy_cli.demo.tally import N_RECENT, Tally

LINE_INTERVAL_S = 5.0
BAR_WIDTH = 50


def watch(steps: Iterable[list[Outcome]], people: int, tally: Tally, console: Console) -> None:
    """Run through ``steps``, counting and showing them."""
    counted = _count(steps, tally)
    if console.is_terminal:
        _bar(counted, people, tally, console)
    else:
        _lines(counted, people, tally, console)


def table(tally: Tally) -> Table:
    """What this run replayed, arm by arm."""
    shown = Table(title=f"{tally.people:,} people replayed in this run")
    shown.add_column("arm")
    for name in ("people", "share", "turnout"):
        shown.add_column(name, justify="right")
    for row in tally.rows():
        shown.add_row(*row)
    return shown


def _count(steps: Iterable[list[Outcome]], tally: Tally) -> Iterator[int]:
    for outcomes in steps:
        for arm_key, voted in outcomes:
            tally.add(arm_key, voted)
        yield len(outcomes)


def _bar(counted: Iterator[int], people: int, tally: Tally, console: Console) -> None:
    columns = (BarColumn(bar_width=BAR_WIDTH), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console)
    task = progress.add_task("", total=people)
    with Live(Group(progress, _shares(tally)), console=console) as live:
        for n_people in counted:
            progress.update(task, advance=n_people)
            live.update(Group(progress, _shares(tally)))


def _shares(tally: Tally) -> Table:
    """A bar for each arm, as long as its share of the last 1,000 people."""
    rows = Table.grid(padding=(0, 1))
    for arm_key, share in tally.recent_shares().items():
        rows.add_row(
            arm_key, ProgressBar(total=1.0, completed=share, width=BAR_WIDTH), f"{share:.0%}"
        )
    rows.add_row("", f"share of the last {N_RECENT:,} people")
    return rows


def _lines(counted: Iterator[int], people: int, tally: Tally, console: Console) -> None:
    shown_at = time.monotonic()
    for _ in counted:
        if time.monotonic() - shown_at >= LINE_INTERVAL_S:
            shown_at = time.monotonic()
            shares = "  ".join(f"{key} {share:.0%}" for key, share in tally.recent_shares().items())
            line = f"{tally.people:,} of {people:,} people; last {N_RECENT:,}: {shares}"
            console.print(line, soft_wrap=True, highlight=False)

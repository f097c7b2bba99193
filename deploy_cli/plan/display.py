"""Showing a plan: progress on a terminal, a few lines, and a table over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn
from rich.table import Table

N_ROWS = 8
N_ARMS_SHOWN = 4


@contextmanager
def progress(console: Console) -> Iterator[Callable[[float], None]]:
    """A bar to tell the share that is done; nothing where ``console`` is no terminal."""
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda share: bar.update(task, completed=share)


def summary(plan: dict[str, Any]) -> Iterator[str]:
    """What to expect, in sentences."""
    assumed, time, wrong = plan["assumptions"], plan["time_to_decision"], plan["wrong_winner"]
    days = assumed["max_days"]
    yield (
        f"{len(assumed['arms'])} arms, {assumed['decisions_per_day']:,} decisions a day for {days} days, "
        f"policy {assumed['policy']['type']}; {plan['n_runs']:,} runs from seed {plan['seed']}."
    )
    yield (
        f"Decided within {days} days: {_decided(time)}; an even split: {_decided(time['even_split'])}."
    )
    yield f"Cost in reward, if it runs to the end: {_cost(plan['regret'])}"
    yield f"If everybody gets the winner once it is decided: {_cost(plan['regret_with_stopping'])}"
    low, high = wrong["interval"]
    yield (
        f"Wrong winner: {wrong['probability']:.1%} of runs (95%: {low:.1%} to {high:.1%}); an even split "
        f"{wrong['even_split']['probability']:.1%}. The best arm is {plan['best_arm_key']}."
    )
    yield from (f"Note: {note}" for note in plan["notes"])


def table(plan: dict[str, Any]) -> Table:
    """Allocation, decisions and what is saved, at a few moments."""
    shown = Table()
    for name in ("day", "allocation", "decided", "regret saved"):
        shown.add_column(name, justify="left" if name == "allocation" else "right")
    for point in _spread(plan["curves"]):
        shown.add_row(
            f"{point['day']:.1f}",
            _shares(point["allocation"]),
            f"{point['share_decided']:.0%}",
            f"{point['regret_even_split'] - point['regret_policy']:,.1f}",
        )
    return shown


def _decided(time: dict[str, Any]) -> str:
    share, median = f"{time['share_decided']:.0%} of runs", time["median_days"]
    return share if median is None else f"{share}, half of all by day {median:.1f}"


def _cost(regret: dict[str, Any]) -> str:
    low, high = regret["saved"]["interval"]
    share = regret["relative_saved"]
    saved = "" if share is None else f" ({share:.0%})"
    return (
        f"{regret['policy']['mean']:,.1f} against {regret['even_split']['mean']:,.1f} of an even split; "
        f"saved {regret['saved']['mean']:,.1f}{saved}, 95%: {low:,.1f} to {high:,.1f}."
    )


def _spread(points: list[Any]) -> list[Any]:
    """At most N_ROWS of them, evenly spread, with the last."""
    step = -(-len(points) // N_ROWS)
    return points[::-1][::step][::-1]


def _shares(allocation: dict[str, float]) -> str:
    """The arms with the largest shares."""
    largest = sorted(allocation, key=lambda key: -allocation[key])[:N_ARMS_SHOWN]
    shares = "  ".join(f"{key} {allocation[key]:.0%}" for key in allocation if key in largest)
    return shares if len(largest) == len(allocation) else f"{shares}  …"

"""From measured runs to one table: medians, rounds, ratios, targets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from statistics import median

from open_loop import Latencies, percentile
from rounds import CEILING, PEER, REWARDS, SERVICE, Load, Played
from workers import Memory

Series = Mapping[Load, Sequence[Played]]
DECISION_BATCH_TARGET = 20_000
P99_TARGET_MS = 30
MEMORY_TARGET_MB = 150


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; cells that say nothing stay empty."""

    point: str
    measured: str
    result: str
    rounds: str = ""
    p50_p99_ms: str = ""
    cpu_us: str = ""
    failed: str = ""
    target: str = ""
    met: str = ""


HEADER = Row(
    "", "measured", "median", "rounds", "p50 / p99 ms", "CPU us", "failed", "target", "met"
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A target that compares two loads of the same round."""

    load: Load
    against: Load
    least: float


def rate_row(load: Load, runs: Sequence[Played]) -> Row:
    """The rate of one load, in correct decisions or rewards a second."""
    p50 = median(played.run.p50_ms for played in runs)
    p99 = median(played.run.p99_ms for played in runs)
    cpu_us = median(played.server_cpu_s / played.run.correct * 1e6 for played in runs)
    return Row(
        load.point,
        load.label,
        f"{median(played.rate for played in runs):,.0f}/s",
        " ".join(f"{played.rate:,.0f}{'*' if played.run.exhausted else ''}" for played in runs),
        f"{p50:.0f} / {p99:.0f}",
        f"{cpu_us:.0f}" if cpu_us else "",
        str(sum(failed(played) for played in runs)),
    )


def batch_row(load: Load, runs: Sequence[Played]) -> Row:
    """A rate with a target of its own."""
    is_met = median(played.rate for played in runs) >= DECISION_BATCH_TARGET
    target = f">= {DECISION_BATCH_TARGET:,}/s"
    return replace(rate_row(load, runs), target=target, met=yes(is_met))


def failed(played: Played) -> int:
    """Elements that were not answered as they should be, and broken or timed-out connections."""
    run = played.run
    return run.answers * played.load.batch_size - run.correct + run.socket_errors


def ratios(loads: Iterable[Load]) -> list[Ratio]:
    """The comparisons that the loads at hand allow."""
    found = {(load.contestant, load.script, load.batch_size > 1): load for load in loads}
    wanted = [
        (SERVICE, "decisions.lua", False, CEILING, 0.5),
        (SERVICE, "decisions.lua", False, PEER, 1.5),
        (SERVICE, REWARDS, False, PEER, 2.0),
        (SERVICE, REWARDS, True, PEER, 10.0),
    ]
    pairs = [
        (found.get((contestant, script, batched)), found.get((other, script, False)), least)
        for contestant, script, batched, other, least in wanted
    ]
    return [Ratio(load, other, least) for load, other, least in pairs if load and other]


def ratio_row(ratio: Ratio, series: Series) -> Row:
    """The median of the rounds' ratios against its target."""
    pairs = zip(series[ratio.load], series[ratio.against], strict=True)
    values = [ours.rate / theirs.rate for ours, theirs in pairs]
    return Row(
        f"{ratio.load.point} : {ratio.against.point}",
        f"{ratio.load.label} : {ratio.against.label}",
        f"{median(values):.2f} x",
        " ".join(f"{value:.2f}" for value in values),
        target=f">= {ratio.least:g} x",
        met=yes(median(values) >= ratio.least),
    )


def latency_rows(seen: Latencies, rate: int, seconds: int) -> list[Row]:
    """Latency under constant load, and how punctual the generator was."""
    p50, p90, p99 = (percentile(seen.from_due_ms, share) for share in (0.5, 0.9, 0.99))
    late = percentile(seen.lateness_ms, 0.99)
    kinds = f"{seen.n_decisions} decisions, {seen.n_rewards} rewards in {seconds} s"
    slowest = f"p50 {p50:.1f}, p90 {p90:.1f}, max {max(seen.from_due_ms):.1f} ms"
    lateness = f"max {max(seen.lateness_ms):.1f} ms"
    return [
        Row(
            "f",
            f"p99 from due time at {rate} requests/s ({kinds})",
            f"{p99:.1f} ms",
            slowest,
            failed=str(seen.n_failed),
            target=f"< {P99_TARGET_MS} ms",
            met=yes(p99 < P99_TARGET_MS),
        ),
        Row("f", "of which p99 of the generator's own lateness", f"{late:.1f} ms", lateness),
    ]


def memory_row(memories: Sequence[Memory]) -> Row:
    """The largest worker against its target."""
    if not memories:
        return Row("g", "memory of each worker", "not measured: needs Linux's /proc")
    largest = max(memory.rss_mb for memory in memories)
    each = "; ".join(_memory(memory) for memory in memories)
    target = f"< {MEMORY_TARGET_MB} MB"
    return Row(
        "g",
        "resident memory of the largest worker",
        f"{largest:.0f} MB",
        each,
        target=target,
        met=yes(largest < MEMORY_TARGET_MB),
    )


def _memory(memory: Memory) -> str:
    pss = "" if memory.pss_mb is None else f", PSS {memory.pss_mb:.0f}"
    return f"RSS {memory.rss_mb:.0f}{pss}"


def stored_row(what: str, n_stored: int, n_answered: int) -> Row:
    """Everything that was answered as stored must be in the log, whatever the speed."""
    target = f">= {n_answered:,} answered"
    return Row("", what, f"{n_stored:,}", target=target, met=yes(n_stored >= n_answered))


def agreement_row(agree: bool) -> Row:
    """The statistics must equal those recomputed from the raw log."""
    found = "no difference" if agree else "they differ"
    check = "rebuild_statistics --check"
    return Row("", "statistics against the raw log", found, check, target="exit 0", met=yes(agree))


def yes(is_met: bool) -> str:
    """The last column."""
    return "yes" if is_met else "NO"


def render(rows: Sequence[Row], *, markdown: bool) -> str:
    """The table, aligned, as Markdown or as plain text."""
    table = [astuple(row) for row in (HEADER, *rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in table
    ]
    rule = ["-" * width for width in widths]
    lines = [padded[0], rule, *padded[1:]]
    if markdown:
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in lines)

"""Regrets by seed as a Markdown table."""

from collections.abc import Mapping, Sequence

import numpy as np

Z95 = 1.96
HEADER = ("problem", "policy", "regret", "95% interval", "of Thompson", "target", "met")


def rows(
    title: str, regrets: Mapping[str, Sequence[float]], targets: Mapping[str, float | None]
) -> list[tuple[str, ...]]:
    """One row a contestant, in order; the first column is filled once.

    "of Thompson" is the ratio to the regret of Bandstand's own Thompson sampling in the same runs.
    """
    base = next((np.mean(r) for label, r in regrets.items() if label == "thompson_sampling"), None)
    found = []
    for number, (label, values) in enumerate(regrets.items()):
        mean = float(np.mean(values))
        half = Z95 * float(np.std(values, ddof=1)) / len(values) ** 0.5
        target = targets[label]
        found.append(
            (
                title if number == 0 else "",
                label,
                f"{mean:.1f}",
                f"{mean - half:.1f} to {mean + half:.1f}",
                "" if base is None else f"{mean / base:.2f}",
                "" if target is None else f"<= {target:g}",
                "" if target is None else _yes(mean <= target),
            )
        )
    return found


def render(body: Sequence[tuple[str, ...]]) -> str:
    """Aligned, as Markdown."""
    lines = [HEADER, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    padded = [[cell.ljust(w) for cell, w in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def batch_line(immediate: Sequence[float], batched: Sequence[float], most: float) -> str:
    """Thompson sampling with feedback in batches against immediate feedback."""
    ratio = float(np.mean(batched) / np.mean(immediate))
    return (
        f"thompson_sampling on (c), batches of 1,000 : immediate feedback = {ratio:.2f} "
        f"(target <= {most:g}: {_yes(ratio <= most)})"
    )


def _yes(is_met: bool) -> str:
    return "yes" if is_met else "NO"

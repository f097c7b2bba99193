"""This tool's own demo, for running it in the background."""

from __future__ import annotations

from deploy_cli.runner import Command


def replay(python: str, environment: str, rate: int, people: int, seed: int | None) -> Command:
    """Replay ``people`` at ``rate`` a second in the foreground of its own session."""
    seeded = () if seed is None else (f"--seed={seed}",)
    options = (f"--env={environment}", f"--rate={rate}", f"--people={people}", *seeded)
    return (python, "-m", "deploy_cli", "demo", *options)

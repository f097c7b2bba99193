"""Progress, on standard error, apart from the table; and the one error that ends a run."""

import sys


class CannotMeasure(Exception):
    """Something that the benchmark needs did not start or gave no result."""


def say(text: str) -> None:
    """Print one line at once."""
    print(text, file=sys.stderr, flush=True)

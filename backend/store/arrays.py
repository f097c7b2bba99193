"""Columns of many rows as PostgreSQL's array literals."""

from collections.abc import Iterable


def plain_array(values: Iterable[object]) -> str:
    """An array literal of numbers, booleans, UUIDs, keys or None: values whose text needs no quotes.

    The driver would look at every element; for text of callers let it, by giving it a list, which it quotes.
    """
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"

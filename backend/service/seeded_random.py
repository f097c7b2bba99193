"""The sequence of random numbers of a seeded experiment: the n-th choice of the experiment takes the n-th number.

A choice that is made again (under an Idempotency-Key, or because the experiment changed meanwhile) takes a number too.
"""

import hashlib
from collections.abc import Iterator
from itertools import count


def random_numbers(seed: int, first: int) -> Iterator[float]:
    """Numbers in [0, 1) from index ``first`` on: the top 53 bits of SHA-256 of ``"seed:index"``."""
    for index in count(first):
        digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
        yield (int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53

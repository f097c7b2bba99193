"""The random numbers of a seeded experiment."""

import hashlib
from itertools import islice

import numpy as np
from scipy import stats

from backend.service.seeded_random import random_numbers


def take(seed, first, n):
    return list(islice(random_numbers(seed, first), n))


def test_is_what_the_docstring_says():
    """The top 53 bits of SHA-256 of "7:3", as a fraction: anyone can compute it."""
    bits = int(hashlib.sha256(b"7:3").hexdigest(), 16) >> (256 - 53)

    assert take(7, 3, 1) == [bits / 2**53]


def test_the_sequence_can_be_entered_anywhere():
    """Numbers 5, 6, 7 are the same whether one begins at 0 or at 5."""
    assert take(42, 0, 8)[5:] == take(42, 5, 3)


def test_seeds_have_different_sequences():
    """Seed 1 from index 11 must not be seed 11 from index 1."""
    assert take(1, 11, 3) != take(11, 1, 3)


def test_numbers_are_uniform():
    """20,000 numbers in [0, 1): Kolmogorov and Smirnov find nothing (a fixed seed, so the same p each time)."""
    numbers = np.array(take(1, 0, 20_000))

    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3

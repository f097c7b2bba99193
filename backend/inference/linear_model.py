"""One ridge regression per arm, with what it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from backend.domain import BoolArray, FloatArray
from backend.statistics import Scores


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Fitted."""

    def scores(self, features: FloatArray) -> Scores:
        """Of every arm for one encoded context, shape (n_features,)."""
        raise NotImplementedError

    def select(self, mask: BoolArray) -> Self:
        """Only the arms in ``mask``."""
        raise NotImplementedError

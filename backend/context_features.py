"""Context: which features of a unit a policy may use, of which type, and how they become numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from backend.domain import FloatArray, Json


@dataclass(frozen=True, slots=True)
class ContextFeatures:
    """The declared features of an experiment, in order."""

    n_features: int

    @classmethod
    def parse(cls, declared: Any) -> Self:
        """From the JSON of ``policy.params.context_features``. Raises InvalidPolicy."""
        raise NotImplementedError

    def encode(self, context: Json | None) -> FloatArray:
        """Shape (n_features,): intercept first. Raises InvalidInput naming the feature."""
        raise NotImplementedError

"""What each policy of the registry needs, for tests that run over all of them."""

from typing import Any

CONTEXT_FEATURES = [
    {"name": "age", "type": "numeric", "min": 0, "max": 100},
    {"name": "device", "type": "categorical", "levels": ["phone", "desktop"]},
]
CONTEXT = {"age": 40, "device": "phone"}
_PARAMS: dict[str, dict[str, Any]] = {
    "finite_horizon_kl": {"horizon": 20_000},
    **{
        name: {"context_features": CONTEXT_FEATURES}
        for name in ("linear_thompson", "lin_ucb", "squarecb")
    },
}


def policy(name: str) -> dict[str, Any]:
    """An experiment's ``policy`` of this type."""
    return {"type": name, "params": _PARAMS.get(name, {})}


def context_for(name: str) -> dict[str, Any] | None:
    """A context that this policy takes; None for one that needs none."""
    return CONTEXT if "context_features" in _PARAMS.get(name, {}) else None

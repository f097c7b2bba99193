"""The range of a reward, for policies whose guarantees need one."""

from backend.domain import RewardSpec, RewardType
from backend.errors import InvalidPolicy


def known_range(policy: str, reward: RewardSpec) -> tuple[float, float]:
    """Least and largest reward: 0 and 1 of a binary one, else the declared min and max.

    Raises:
        InvalidPolicy: ``policy`` cannot be used, because the reward has no known range.
    """
    if reward.type is RewardType.BINARY:
        return 0.0, 1.0
    if reward.type is RewardType.COUNT:
        raise InvalidPolicy(
            f"{policy} needs rewards in a known range: binary, or continuous with min and max; "
            "counts have none"
        )
    if reward.min is None or reward.max is None:
        raise InvalidPolicy(
            f"{policy} needs rewards in a known range: give reward.min and reward.max"
        )
    return reward.min, reward.max

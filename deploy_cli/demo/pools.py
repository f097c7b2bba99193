"""The trial's people who have not been replayed yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from deploy_cli.demo.trial import ARMS


@dataclass(slots=True)
class Pool:
    """People of one arm, of whom some voted; 0 <= voters_left <= people_left."""

    people_left: int
    voters_left: int

    def draw(self, rng: Random) -> int:
        """Take one person out, each equally likely; 1 if that person voted, else 0.

        Raises:
            ValueError: nobody is left.
        """
        voted = int(rng.randrange(self.people_left) < self.voters_left)
        self.people_left -= 1
        self.voters_left -= voted
        return voted


class Pools:
    """One pool for each arm of the trial; nobody is ever drawn twice."""

    def __init__(self, replayed: Mapping[str, tuple[int, int]]) -> None:
        """``replayed``: by arm key, how many people and voters were drawn in earlier runs.

        A person whose outcome was lost on its way counts as drawn.
        """
        self._pools: dict[str, Pool] = {}
        for arm in ARMS:
            people, voters = replayed.get(arm.key, (0, 0))
            people_left = max(0, arm.people - people)
            voters_left = min(people_left, max(0, arm.voters - voters))
            self._pools[arm.key] = Pool(people_left, voters_left)

    def __getitem__(self, arm_key: str) -> Pool:
        return self._pools[arm_key]

    def eligible_arms(self) -> list[str]:
        """Keys of the arms that have people left."""
        return [key for key, pool in self._pools.items() if pool.people_left]

    def people_left(self) -> int:
        """People left in all arms together."""
        return sum(pool.people_left for pool in self._pools.values())

    def safe_batch(self) -> int:
        """How many people may be decided at once, even if all of them get the same arm."""
        return min(
            (pool.people_left for pool in self._pools.values() if pool.people_left), default=0
        )

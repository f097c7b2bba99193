"""Counts of what one run has replayed."""

from __future__ import annotations

from collections import Counter, deque

from deploy_cli.demo.trial import ARMS

N_RECENT = 1000


class Tally:
    """People and voters by arm, of this run."""

    def __init__(self) -> None:
        self._people: Counter[str] = Counter()
        self._voters: Counter[str] = Counter()
        self._recent: deque[str] = deque(maxlen=N_RECENT)

    def add(self, arm_key: str, voted: int) -> None:
        """Count one person; ``voted`` is 0 or 1."""
        self._people[arm_key] += 1
        self._voters[arm_key] += voted
        self._recent.append(arm_key)

    @property
    def people(self) -> int:
        """People of all arms."""
        return self._people.total()

    def recent_shares(self) -> dict[str, float]:
        """By arm key, its share of the last 1,000 people; all 0 before the first."""
        recent = Counter(self._recent)
        return {arm.key: recent[arm.key] / max(1, recent.total()) for arm in ARMS}

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Arm, people, share of all people and turnout, as text."""
        return [self._row(arm.key, arm.name) for arm in ARMS]

    def _row(self, arm_key: str, name: str) -> tuple[str, str, str, str]:
        people, voters = self._people[arm_key], self._voters[arm_key]
        turnout = f"{voters / people:.1%}" if people else "-"
        return (name, f"{people:,}", f"{people / max(1, self.people):.1%}", turnout)

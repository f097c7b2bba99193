"""The trial that the demo replays: did a letter make people vote?

Source: Gerber, Green and Larimer, "Social Pressure and Voter Turnout: Evidence from a Large-Scale
Field Experiment", American Political Science Review 102(1), 2008, table 2. Michigan, August 2006.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EXPERIMENT_KEY = "get-out-the-vote"


@dataclass(frozen=True, slots=True)
class TrialArm:
    """One row of table 2."""

    key: str
    name: str
    mailing: str
    """What the letter said in essence; the paper's headline where it had one."""
    people: int
    turnout: float
    """Share of the people who voted, in [0, 1], as printed: rounded to 0.001."""

    @property
    def voters(self) -> int:
        """How many of the people voted, as far as the rounded turnout tells."""
        return round(self.people * self.turnout)


ARMS = (
    TrialArm("control", "Control", "none", 191_243, 0.297),
    TrialArm("civic-duty", "Civic Duty", "Do your civic duty - vote!", 38_218, 0.315),
    TrialArm("hawthorne", "Hawthorne", "You are being studied!", 38_204, 0.322),
    TrialArm("self", "Self", "Who votes is public information!", 38_218, 0.345),
    TrialArm(
        "neighbors", "Neighbors", "What if your neighbors knew whether you voted?", 38_201, 0.378
    ),
)


def experiment() -> dict[str, Any]:
    """Body that creates the experiment."""
    arms = [
        {
            "key": arm.key,
            "name": arm.name,
            "payload": {"mailing": arm.mailing},
            "is_control": arm.key == "control",
        }
        for arm in ARMS
    ]
    return {
        "key": EXPERIMENT_KEY,
        "name": "Get out the vote",
        "description": (
            "Which letter makes people vote? Replays the people of a field experiment before "
            "Michigan's primary election of August 2006: Gerber, Green and Larimer, American "
            "Political Science Review 102(1), 2008, table 2. Reward 1: the person voted."
        ),
        "arms": arms,
        "policy": {"type": "thompson_sampling", "params": {}},
        "reward": {"type": "binary"},
    }

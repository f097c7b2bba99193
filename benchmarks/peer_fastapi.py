"""The peer: the bandit service most teams write first, written well.

FastAPI and asyncpg. A decision is one INSERT in its own transaction; a reward is one transaction
that inserts the reward and updates the arm's row. Thompson sampling draws from counts kept in
this process's memory, so a decision costs no read.
"""

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel

ARMS = ("control", "red", "green", "blue")
POOL_SIZE = int(os.environ.get("PEER_POOL_SIZE", "8"))

INSERT_DECISION = """
    INSERT INTO decision (id, experiment, unit, arm, propensity, decided_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
INSERT_REWARD = "INSERT INTO reward (decision_id, value) VALUES ($1, $2)"
UPDATE_ARM = """
    UPDATE arm SET rewards = rewards + 1, reward_sum = reward_sum + $2
    FROM decision
    WHERE decision.id = $1 AND arm.experiment = decision.experiment AND arm.key = decision.arm
    RETURNING arm.key
"""


class DecisionRequest(BaseModel):
    """Body of a decision."""

    unit_id: str


class Decision(BaseModel):
    """The answer to a decision: the same fields as Bandstand's."""

    decision_id: UUID
    experiment_key: str
    unit_id: str
    arm_key: str
    payload: dict[str, str]
    propensity: float | None
    probabilities: dict[str, float]
    reason: str
    policy_version: int
    decided_at: datetime


class Reward(BaseModel):
    """One reward of a body of rewards."""

    decision_id: UUID
    reward: float


class Rewards(BaseModel):
    """Body of POST /rewards."""

    rewards: list[Reward]


class Counts:
    """Beta(1, 1) posteriors of the arms, as far as this process has seen their rewards."""

    def __init__(self) -> None:
        self.wins = dict.fromkeys(ARMS, 1.0)
        self.losses = dict.fromkeys(ARMS, 1.0)

    def draw(self) -> str:
        """Thompson sampling: the arm whose posterior draw is largest."""
        return max(ARMS, key=lambda arm: random.betavariate(self.wins[arm], self.losses[arm]))

    def learn(self, arm: str, reward: float) -> None:
        """Add one binary reward."""
        self.wins[arm] += reward
        self.losses[arm] += 1.0 - reward


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold a pool of connections as long as the process lives."""
    app.state.counts = Counts()
    async with asyncpg.create_pool(
        os.environ["PEER_DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/api/v1/experiments/{experiment_key}/decisions", status_code=201)
async def decide(experiment_key: str, body: DecisionRequest, request: Request) -> Decision:
    """Draw an arm, insert the decision, answer."""
    decision = Decision(
        decision_id=uuid4(),
        experiment_key=experiment_key,
        unit_id=body.unit_id,
        arm_key=request.app.state.counts.draw(),
        payload={"color": "green"},
        propensity=None,  # a Thompson draw does not tell with what probability it came
        probabilities=dict.fromkeys(ARMS, 0.25),
        reason="policy",
        policy_version=1,
        decided_at=datetime.now(UTC),
    )
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            INSERT_DECISION,
            decision.decision_id,
            decision.experiment_key,
            decision.unit_id,
            decision.arm_key,
            decision.propensity,
            decision.decided_at,
        )
    return decision


@app.post("/api/v1/rewards")
async def record_rewards(body: Rewards, request: Request) -> dict[str, list[dict[str, str]]]:
    """Record each reward in its own transaction; the arm's row is locked last and shortest."""
    results = []
    for reward in body.rewards:
        async with request.app.state.pool.acquire() as connection, connection.transaction():
            await connection.execute(INSERT_REWARD, reward.decision_id, reward.reward)
            arm = await connection.fetchval(UPDATE_ARM, reward.decision_id, reward.reward)
        request.app.state.counts.learn(arm, reward.reward)
        results.append({"decision_id": str(reward.decision_id), "status": "recorded"})
    return {"results": results}

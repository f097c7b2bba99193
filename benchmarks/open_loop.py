"""Constant load, open loop: requests leave on schedule, whether or not earlier ones came back.

Latency counts from the moment a request was due, so a stall is charged to every request that
was due during it. How late this generator itself sent is reported beside it.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp
from wrk import Target


@dataclass(slots=True)
class Latencies:
    """What the requests of one open-loop run met, in milliseconds."""

    from_due_ms: list[float] = field(default_factory=list)
    lateness_ms: list[float] = field(default_factory=list)
    n_decisions: int = 0
    n_rewards: int = 0
    n_failed: int = 0


class Generator:
    """Sends decisions, and a reward for every decision that was answered, at a fixed rate."""

    def __init__(self, session: aiohttp.ClientSession, target: Target) -> None:
        self._session = session
        self._api_url = f"{target.origin}/api/v1"
        self._experiment_key = target.experiment_key
        self._unrewarded: deque[str] = deque()
        self.seen = Latencies()

    async def run(self, rate: int, seconds: int) -> Latencies:
        """Send ``rate`` requests a second, evenly spaced, and wait for all their answers."""
        clock = asyncio.get_running_loop().time
        start = clock() + 0.1
        async with asyncio.TaskGroup() as requests:
            for number in range(rate * seconds):
                due = start + number / rate
                await asyncio.sleep(max(0.0, due - clock()))
                requests.create_task(self._send(number, due))
        return self.seen

    async def _send(self, number: int, due: float) -> None:
        clock = asyncio.get_running_loop().time
        self.seen.lateness_ms.append((clock() - due) * 1e3)
        try:
            if number % 2 and self._unrewarded:
                await self._reward(self._unrewarded.popleft(), number // 2 % 2)
            else:
                await self._decide(f"open-loop-{number}")
        except (aiohttp.ClientError, TimeoutError, KeyError):
            self.seen.n_failed += 1
        self.seen.from_due_ms.append((clock() - due) * 1e3)

    async def _decide(self, unit_id: str) -> None:
        path = f"/experiments/{self._experiment_key}/decisions"
        async with self._session.post(self._api_url + path, json={"unit_id": unit_id}) as answer:
            decision = await answer.json()
        self._unrewarded.append(decision["decision_id"])
        self.seen.n_decisions += 1

    async def _reward(self, decision_id: str, value: int) -> None:
        body = {"rewards": [{"decision_id": decision_id, "reward": value}]}
        async with self._session.post(f"{self._api_url}/rewards", json=body) as answer:
            results = (await answer.json())["results"]
        recorded = results[0]["status"] == "recorded"
        self.seen.n_rewards += recorded
        self.seen.n_failed += not recorded


async def measure(target: Target, rate: int, seconds: int) -> Latencies:
    """Load ``target`` with ``rate`` requests a second for ``seconds``."""
    headers = {"Authorization": f"Bearer {target.key}"}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(
        headers=headers, connector=connector, timeout=timeout, raise_for_status=True
    ) as session:
        return await Generator(session, target).run(rate, seconds)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least ``share`` of ``values`` do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]

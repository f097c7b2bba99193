"""The planner behind the API: what it answers, refuses, streams, and leaves running (nothing)."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

import pytest

from backend.http.context import EXTENSION
from backend.service.plan_experiment import PlanExperiment
from tests.polling import until

NDJSON = "application/x-ndjson"
SMALL = {
    "arms": [{"key": "control", "mean": 0.1}, {"key": "green", "mean": 0.3}],
    "decisions_per_day": 1000,
    "max_days": 2,
    "n_runs": 10,
}

"""The ceiling: a bare Flask endpoint that answers a decision and does nothing else.

No key check, no schema, no draw, no store. Served under Bandstand's own gunicorn settings, it
says what the HTTP layer alone can do on this machine.
"""

from flask import Flask
from flask.typing import ResponseReturnValue

ARMS = ("control", "red", "green", "blue")

app = Flask(__name__)


@app.post("/api/v1/experiments/<experiment_key>/decisions")
def decide(experiment_key: str) -> ResponseReturnValue:
    """Answer the same fields, of the same sizes, as a real decision over four arms."""
    return {
        "decision_id": "01938f3c-7a51-7c6e-9d0b-3f1c5a7e2b44",
        "experiment_key": experiment_key,
        "unit_id": "unit-1-123456",
        "arm_key": "green",
        "payload": {"color": "green"},
        "propensity": 0.4268130021957624,
        "probabilities": dict.fromkeys(ARMS, 0.25),
        "reason": "policy",
        "policy_version": 41,
        "decided_at": "2026-01-31T09:30:00.123456Z",
    }, 201

"""Table ``experiments`` and the history of its documents."""

from dataclasses import asdict, replace
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.types.json import Json as JsonValue

from backend.domain import (
    Aggregation,
    AllocationSpec,
    Arm,
    ArmStatus,
    Direction,
    Experiment,
    Guardrail,
    GuardrailAction,
    Json,
    PolicySpec,
    RewardSpec,
    RewardType,
    Status,
    Stickiness,
)
from backend.errors import ExperimentExists, ExperimentNotFound
from backend.store.database import Connection, Row

COLUMNS_OF_ITS_OWN = {
    "experiment_id",
    "key",
    "status",
    "version",
    "created_at",
    "updated_at",
    "started_at",
    "stopped_at",
}

INSERT_EXPERIMENT = """
    INSERT INTO experiments (experiment_key, status, version, document, created_at, updated_at)
    VALUES (%(key)s, %(status)s, %(version)s, %(document)s, %(created_at)s, %(updated_at)s)
    RETURNING experiment_id
"""

INSERT_VERSION = """
    INSERT INTO experiment_versions (experiment_id, version, status, document)
    VALUES (%(experiment_id)s, %(version)s, %(status)s, %(document)s)
"""

UPDATE_EXPERIMENT = """
    UPDATE experiments
    SET status = %(status)s, version = %(version)s, document = %(document)s, updated_at = %(updated_at)s,
        started_at = %(started_at)s, stopped_at = %(stopped_at)s
    WHERE experiment_id = %(experiment_id)s
"""

SELECT_BY_KEY = "SELECT * FROM experiments WHERE experiment_key = %(key)s"
SELECT_BY_KEY_FOR_UPDATE = "SELECT * FROM experiments WHERE experiment_key = %(key)s FOR UPDATE"

SELECT_PAGE = """
    SELECT * FROM experiments
    WHERE experiment_id < %(before)s AND (%(status)s::text IS NULL OR status = %(status)s)
    ORDER BY experiment_id DESC
    LIMIT %(limit)s
"""

SELECT_AT_VERSION = """
    SELECT e.experiment_id, e.experiment_key, e.created_at, e.updated_at, e.started_at, e.stopped_at,
           v.version, v.status, v.document
    FROM experiments e JOIN experiment_versions v USING (experiment_id)
    WHERE e.experiment_id = %(experiment_id)s AND v.version = %(version)s
"""


def insert_experiment(conn: Connection, experiment: Experiment) -> Experiment:
    """Store a new experiment; the answer carries its id. Raises ExperimentExists."""
    try:
        row = conn.execute(INSERT_EXPERIMENT, _columns(experiment)).fetchone()
    except UniqueViolation as exc:
        raise ExperimentExists(f"there is an experiment '{experiment.key}' already") from exc
    assert row is not None
    stored = replace(experiment, experiment_id=row["experiment_id"])
    conn.execute(INSERT_VERSION, _columns(stored))
    return stored


def update_experiment(conn: Connection, experiment: Experiment) -> None:
    """Store a changed experiment under its new version."""
    conn.execute(UPDATE_EXPERIMENT, _columns(experiment))
    conn.execute(INSERT_VERSION, _columns(experiment))


def select_experiment(conn: Connection, key: str, *, for_update: bool = False) -> Experiment:
    """The experiment with this key, locked when ``for_update``. Raises ExperimentNotFound."""
    query = SELECT_BY_KEY_FOR_UPDATE if for_update else SELECT_BY_KEY
    row = conn.execute(query, {"key": key}).fetchone()
    if row is None:
        raise ExperimentNotFound(f"there is no experiment '{key}'")
    return experiment_from_row(row)


def select_page(
    conn: Connection, *, before: int, status: Status | None, limit: int
) -> list[Experiment]:
    """Newest first, ids below ``before``."""
    params = {"before": before, "status": status, "limit": limit}
    return [experiment_from_row(row) for row in conn.execute(SELECT_PAGE, params)]


def select_at_version(conn: Connection, experiment_id: int, version: int) -> Experiment:
    """The experiment as it was at ``version``. Raises ExperimentNotFound."""
    params = {"experiment_id": experiment_id, "version": version}
    row = conn.execute(SELECT_AT_VERSION, params).fetchone()
    if row is None:
        raise ExperimentNotFound(f"there is no version {version} of experiment {experiment_id}")
    return experiment_from_row(row)


def document_of(experiment: Experiment) -> Json:
    """Everything about an experiment that people set, as JSON.

    What a version of the service before guardrails does not know is left out where it is not used.
    """
    document = {k: v for k, v in asdict(experiment).items() if k not in COLUMNS_OF_ITS_OWN}
    if not document["guardrails"]:
        del document["guardrails"]
    for arm in document["arms"]:
        if arm["max_probability"] is None:
            del arm["max_probability"]
    return document


def _columns(experiment: Experiment) -> Row:
    return {
        "experiment_id": experiment.experiment_id,
        "key": experiment.key,
        "status": experiment.status,
        "version": experiment.version,
        "document": JsonValue(document_of(experiment)),
        "created_at": experiment.created_at,
        "updated_at": experiment.updated_at,
        "started_at": experiment.started_at,
        "stopped_at": experiment.stopped_at,
    }


def experiment_from_row(row: Row) -> Experiment:
    """An Experiment from a row of ``experiments``."""
    document: dict[str, Any] = dict(row["document"])
    reward, allocation = document.pop("reward"), document.pop("allocation")
    return Experiment(
        **{
            **document,
            "arms": tuple(
                Arm(**{**arm, "status": ArmStatus(arm["status"])}) for arm in document["arms"]
            ),
            "guardrails": tuple(
                Guardrail(
                    **{
                        **guardrail,
                        "direction": Direction(guardrail["direction"]),
                        "action": GuardrailAction(guardrail["action"]),
                    }
                )
                for guardrail in document.get("guardrails", ())
            ),
            "policy": PolicySpec(**document["policy"]),
            "reward": RewardSpec(
                **{
                    **reward,
                    "type": RewardType(reward["type"]),
                    "aggregation": Aggregation(reward["aggregation"]),
                }
            ),
            "allocation": AllocationSpec(
                **{**allocation, "stickiness": Stickiness(allocation["stickiness"])}
            ),
            "key": row["experiment_key"],
            "status": Status(row["status"]),
            **{k: row[k] for k in COLUMNS_OF_ITS_OWN - {"key", "status"}},
        }
    )

-- Experiments, their versions and audit trail, and API keys. Small tables, changed by people.
-- Documents are json, not jsonb: numbers and the order of keys come back as the caller wrote them.

CREATE TABLE experiments (
    experiment_id  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment_key text NOT NULL UNIQUE,
    status         text NOT NULL,
    version        integer NOT NULL,
    document       json NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    started_at     timestamptz,
    stopped_at     timestamptz
);

-- The document at every version, so that any decision can be explained later.
CREATE TABLE experiment_versions (
    experiment_id integer NOT NULL REFERENCES experiments,
    version       integer NOT NULL,
    status        text NOT NULL,
    document      json NOT NULL,
    PRIMARY KEY (experiment_id, version)
);

CREATE TABLE audit (
    audit_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment_id integer NOT NULL REFERENCES experiments,
    version       integer NOT NULL,
    at            timestamptz NOT NULL DEFAULT now(),
    key_id        text NOT NULL,
    key_name      text NOT NULL,
    action        text NOT NULL,
    changes       json NOT NULL
);
CREATE INDEX audit_by_experiment ON audit (experiment_id, audit_id);

CREATE TABLE api_keys (
    key_id      text PRIMARY KEY,
    name        text NOT NULL,
    role        text NOT NULL,
    secret_hash bytea NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);

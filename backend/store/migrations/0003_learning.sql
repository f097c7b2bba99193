-- What is learned: sums, and nothing else.

-- A reward as an exact decimal: through text, because a direct cast would round to 15 digits; to 100 decimals, so that
-- neither it nor its square is ever too small for a double again.
CREATE FUNCTION exact_decimal(value double precision) RETURNS numeric LANGUAGE sql IMMUTABLE
    AS 'SELECT round(value::text::numeric, 100)';

-- One row per experiment, metric, minute of the decisions' time, arm, and shard. Writers add; shards keep them from
-- waiting for each other. Sums of rewards are numeric, so that what was added can be taken away again without a rest,
-- in any order. changed_xid lets a reader ask for what changed since it last looked.
CREATE TABLE arm_statistics (
    experiment_id      integer NOT NULL,
    metric             text NOT NULL,
    bucket             timestamptz NOT NULL,
    arm_id             integer NOT NULL,
    shard              smallint NOT NULL,
    decisions          bigint NOT NULL DEFAULT 0,
    propensity_sum     double precision NOT NULL DEFAULT 0,
    rewards            bigint NOT NULL DEFAULT 0,
    reward_sum         numeric NOT NULL DEFAULT 0,
    reward_sum_squares numeric NOT NULL DEFAULT 0,
    changed_xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (experiment_id, metric, bucket, arm_id, shard)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX arm_statistics_changed ON arm_statistics (changed_xid);

-- The statistics that decisions were made with, numbered per experiment. statistics holds one row per arm:
-- decisions, rewards, reward_sum, reward_sum_squares.
CREATE TABLE policy_snapshots (
    experiment_id      integer NOT NULL,
    policy_version     integer NOT NULL,
    statistics         double precision[] NOT NULL,
    published_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (experiment_id, policy_version)
);

-- How many random numbers a seeded experiment has used.
CREATE TABLE seeded_draws (
    experiment_id integer PRIMARY KEY,
    n_draws       bigint NOT NULL
);

CREATE TABLE idempotency_keys (
    key_id          text NOT NULL,
    idempotency_key text NOT NULL,
    request_hash    bytea NOT NULL,
    status          integer,
    body            bytea,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key_id, idempotency_key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

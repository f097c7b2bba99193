-- What unbiased estimates, delay correction, contextual policies and guardrails need. Only adds: a service of the version
-- before goes on working beside it. What that one counts meanwhile, and what was counted before, has no weights and delays
-- yet: run `python -m backend.rebuild_statistics` once all workers are new.

ALTER TABLE decisions
    ADD COLUMN importance_weight double precision, -- null: 1 / propensity
    ADD COLUMN scores double precision[],          -- of a contextual policy: what its vector was made from
    ADD COLUMN redrawn_from uuid,                  -- the sticky decision whose arm is no longer active
    ADD COLUMN bucket_s smallint NOT NULL DEFAULT 60; -- width of the statistics bucket that counts it, in seconds

-- Sums with the importance weight w and its root r = 1 / sqrt(propensity), over decisions and over rewarded decisions.
-- Those with rewards are exact, as those without weights are.
ALTER TABLE arm_statistics
    ADD COLUMN weight_sum double precision NOT NULL DEFAULT 0,
    ADD COLUMN root_weight_sum double precision NOT NULL DEFAULT 0,
    ADD COLUMN rewarded_weight_sum double precision NOT NULL DEFAULT 0,
    ADD COLUMN rewarded_root_weight_sum double precision NOT NULL DEFAULT 0,
    ADD COLUMN weighted_reward_sum numeric NOT NULL DEFAULT 0,
    ADD COLUMN root_weighted_reward_sum numeric NOT NULL DEFAULT 0,
    ADD COLUMN weighted_reward_sum_squares numeric NOT NULL DEFAULT 0,
    -- Seconds from the start of the bucket to each decision, and to each rewarded one: so their ages are known exactly.
    ADD COLUMN offset_sum double precision NOT NULL DEFAULT 0,
    ADD COLUMN rewarded_offset_sum double precision NOT NULL DEFAULT 0;

-- Element by element; the shorter one is filled up with zeros.
CREATE FUNCTION add_arrays(a double precision[], b double precision[]) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE
    AS 'SELECT coalesce(array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY position), ''{}'')
        FROM unnest(a, b) WITH ORDINALITY AS pairs (x, y, position)';

-- Fresh draws against the vectors they were drawn from: per arm, in the order of arm_id.
CREATE TABLE allocation_statistics (
    experiment_id           integer NOT NULL,
    shard                   smallint NOT NULL,
    drawn                   double precision[] NOT NULL,
    probability_sum         double precision[] NOT NULL,
    probability_sum_squares double precision[] NOT NULL,
    PRIMARY KEY (experiment_id, shard)
) WITH (fillfactor = 70);

-- How long rewards take to come: rewards of one minute's decisions, counted in doubling bins
-- (inference/delay.py).
CREATE TABLE reward_delays (
    experiment_id integer NOT NULL,
    bucket        timestamptz NOT NULL,
    shard         smallint NOT NULL,
    counts        double precision[] NOT NULL,
    changed_xid   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (experiment_id, bucket, shard)
) WITH (fillfactor = 70);
CREATE INDEX reward_delays_changed ON reward_delays (changed_xid);

-- Sums for regressions of contextual policies, per hour of the decisions' time: the lower triangle of x x' over
-- decisions and over rewarded decisions, and x times reward.
CREATE TABLE context_statistics (
    experiment_id integer NOT NULL,
    bucket        timestamptz NOT NULL,
    arm_id        integer NOT NULL,
    shard         smallint NOT NULL,
    decision_xtx  double precision[] NOT NULL,
    reward_xtx    double precision[] NOT NULL,
    reward_xty    double precision[] NOT NULL,
    changed_xid   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (experiment_id, bucket, arm_id, shard)
) WITH (fillfactor = 70);
CREATE INDEX context_statistics_changed ON context_statistics (changed_xid);

-- What policies made of the statistics: after forgetting and delay. observed holds one row per arm: pulls, reward_sum,
-- reward_sum_squares, pending, weight_sum, weighted_reward_sum. Null: published by an older version of the service.
ALTER TABLE policy_snapshots
    ADD COLUMN observed double precision[],
    ADD COLUMN n_decisions double precision,
    ADD COLUMN batch_size double precision,
    ADD COLUMN model bytea;

CREATE INDEX policy_snapshots_with_model ON policy_snapshots (experiment_id, policy_version) WHERE model IS NOT NULL;

-- Guardrails that were crossed, once per arm and metric.
CREATE TABLE guardrail_breaches (
    experiment_id integer NOT NULL REFERENCES experiments,
    arm_id        integer NOT NULL,
    metric        text NOT NULL,
    action        text NOT NULL,
    breached_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (experiment_id, arm_id, metric)
);

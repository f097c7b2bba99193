-- The log: decisions and rewards, partitioned by time through the time inside decision_id (UUIDv7).
-- Weekly partitions are made by store/partitions.py; the default ones catch what no week covers.

CREATE TYPE decision_reason AS ENUM ('policy', 'control', 'sticky', 'paused');

CREATE TABLE decisions (
    decision_id        uuid NOT NULL PRIMARY KEY,
    experiment_id      integer NOT NULL,
    experiment_version integer NOT NULL,
    policy_version     integer NOT NULL,
    arm_id             integer NOT NULL,
    reason             decision_reason NOT NULL,
    decided_at         timestamptz NOT NULL,
    propensity         double precision NOT NULL,
    random_number      double precision NOT NULL,
    unit_id            text NOT NULL,
    eligible_arm_ids   json,
    context            json,
    sticky_decision_id uuid
) PARTITION BY RANGE (decision_id);
CREATE INDEX decisions_by_experiment ON decisions (experiment_id, decision_id);
CREATE TABLE decisions_default PARTITION OF decisions DEFAULT;

-- Every reward that was ever taken; sequence 0 is the first of its decision and metric and serves as their lock.
CREATE TABLE rewards (
    decision_id  uuid NOT NULL,
    metric       text NOT NULL,
    sequence     integer NOT NULL,
    value        double precision NOT NULL,
    occurred_at  timestamptz,
    received_at  timestamptz NOT NULL,
    is_late      boolean NOT NULL,
    retracted_at timestamptz,
    PRIMARY KEY (decision_id, metric, sequence)
) PARTITION BY RANGE (decision_id);
CREATE TABLE rewards_default PARTITION OF rewards DEFAULT;

-- Which arm a unit keeps. The numbers are those of the decision that drew it.
CREATE TABLE assignments (
    experiment_id    integer NOT NULL,
    unit_id          text NOT NULL,
    arm_id           integer NOT NULL,
    decision_id      uuid NOT NULL,
    policy_version   integer NOT NULL,
    propensity       double precision NOT NULL,
    random_number    double precision NOT NULL,
    probabilities    double precision[] NOT NULL,
    expires_at       timestamptz,
    PRIMARY KEY (experiment_id, unit_id)
);

-- AgentOps: what was counted. History, kept for ever but for the minutes of model calls.
--
-- G1. Every key holds topic and partition of the log: one writer a row, so that it can make it anew alone (processors/materialisation/history/heal.ts).
-- G2. Sums are whole numbers and decimals, quantiles are DDSketches (1 % off at most): the order of rows changes nothing, so a rebuild gives the same answers.

CREATE TABLE IF NOT EXISTS dats.call_minutes
(
    minute DateTime('UTC'),
    project_id LowCardinality(String),
    model LowCardinality(String),
    provider LowCardinality(String),
    node LowCardinality(String),
    purpose LowCardinality(String),
    topic LowCardinality(String),
    partition UInt16,
    calls SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64),
    input_tokens SimpleAggregateFunction(sum, UInt64),
    output_tokens SimpleAggregateFunction(sum, UInt64),
    cost_usd SimpleAggregateFunction(sum, Decimal(38, 9)),
    duration_ms AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64),
    first_chunk_ms AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, project_id, model, provider, node, purpose, topic, partition)
TTL minute + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.call_minutes_mv TO dats.call_minutes AS
SELECT
    toStartOfMinute(time, 'UTC') AS minute, project_id, model, provider, node, purpose, topic, partition,
    count() AS calls,
    countIf(outcome != 'ok') AS errors,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(duration_ms) AS duration_ms,
    quantilesDDStateIf(0.01, 0.5, 0.95, 0.99)(assumeNotNull(first_chunk_ms), isNotNull(first_chunk_ms)) AS first_chunk_ms
FROM dats.events
WHERE type = 'dats.model.called'
GROUP BY minute, project_id, model, provider, node, purpose, topic, partition;

-- How executions went, a minute: by what made them and what was asked of it.
CREATE TABLE IF NOT EXISTS dats.execution_minutes
(
    minute DateTime('UTC'),
    project_id LowCardinality(String),
    model LowCardinality(String),
    node LowCardinality(String),
    prompt_version LowCardinality(String),
    tier LowCardinality(String),
    domain LowCardinality(String),
    status LowCardinality(String),
    error_code LowCardinality(String),
    is_first Bool,
    topic LowCardinality(String),
    partition UInt16,
    executions SimpleAggregateFunction(sum, UInt64),
    artifacts SimpleAggregateFunction(sum, UInt64),
    duration_ms AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, project_id, model, node, prompt_version, tier, domain, status, error_code, is_first, topic, partition)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.execution_minutes_mv TO dats.execution_minutes AS
SELECT
    toStartOfMinute(time, 'UTC') AS minute, project_id, model, node, prompt_version, tier, domain, execution_status AS status, error_code,
    attempt = 1 AS is_first, topic, partition,
    count() AS executions,
    sum(length(artifact_ids)) AS artifacts,
    quantilesDDStateIf(0.01, 0.5, 0.95, 0.99)(duration_ms, duration_ms > 0) AS duration_ms
FROM dats.events
WHERE execution_status != ''
GROUP BY minute, project_id, model, node, prompt_version, tier, domain, status, error_code, is_first, topic, partition;

-- What a task cost, call by call added up: every attempt, rejected ones too.
CREATE TABLE IF NOT EXISTS dats.task_costs
(
    project_id LowCardinality(String),
    task_id String,
    attempt UInt16,
    model LowCardinality(String),
    topic LowCardinality(String),
    partition UInt16,
    calls SimpleAggregateFunction(sum, UInt64),
    input_tokens SimpleAggregateFunction(sum, UInt64),
    output_tokens SimpleAggregateFunction(sum, UInt64),
    cost_usd SimpleAggregateFunction(sum, Decimal(38, 9))
)
ENGINE = AggregatingMergeTree
ORDER BY (project_id, task_id, attempt, model, topic, partition)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.task_costs_mv TO dats.task_costs AS
SELECT
    project_id, task_id, attempt, model, topic, partition,
    count() AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd
FROM dats.events
WHERE type = 'dats.model.called' AND task_id != ''
GROUP BY project_id, task_id, attempt, model, topic, partition;

-- Projects, day by day.
CREATE TABLE IF NOT EXISTS dats.project_days
(
    day Date,
    project_id LowCardinality(String),
    topic LowCardinality(String),
    partition UInt16,
    events SimpleAggregateFunction(sum, UInt64),
    created SimpleAggregateFunction(sum, UInt64),
    completed SimpleAggregateFunction(sum, UInt64),
    failed SimpleAggregateFunction(sum, UInt64),
    cancelled SimpleAggregateFunction(sum, UInt64),
    accepted SimpleAggregateFunction(sum, UInt64),
    rejected SimpleAggregateFunction(sum, UInt64),
    retries SimpleAggregateFunction(sum, UInt64),
    accepted_artifacts SimpleAggregateFunction(sum, UInt64),
    calls SimpleAggregateFunction(sum, UInt64),
    input_tokens SimpleAggregateFunction(sum, UInt64),
    output_tokens SimpleAggregateFunction(sum, UInt64),
    cost_usd SimpleAggregateFunction(sum, Decimal(38, 9)),
    execution_time_ms AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64)
)
ENGINE = AggregatingMergeTree
ORDER BY (day, project_id, topic, partition)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.project_days_mv TO dats.project_days AS
SELECT
    toDate(time, 'UTC') AS day, project_id, topic, partition,
    count() AS events,
    countIf(type = 'dats.task.created') AS created,
    countIf(type = 'dats.task.completed') AS completed,
    countIf(type = 'dats.task.failed') AS failed,
    countIf(type = 'dats.task.cancelled') AS cancelled,
    countIf(execution_status = 'accepted') AS accepted,
    countIf(execution_status = 'rejected') AS rejected,
    countIf(type = 'dats.task.retry.scheduled') AS retries,
    sumIf(length(artifact_ids), execution_status = 'accepted') AS accepted_artifacts,
    countIf(type = 'dats.model.called') AS calls,
    sumIf(input_tokens, type = 'dats.model.called') AS input_tokens,
    sumIf(output_tokens, type = 'dats.model.called') AS output_tokens,
    sumIf(cost_usd, type = 'dats.model.called') AS cost_usd,
    quantilesDDStateIf(0.01, 0.5, 0.95, 0.99)(execution_time_ms, type = 'dats.task.completed') AS execution_time_ms
FROM dats.events
GROUP BY day, project_id, topic, partition;

-- Agents, day by day: who does what here. An agent is a decider, an effect or the gateway (`source`), on a node, with a model where one speaks.
CREATE TABLE IF NOT EXISTS dats.agent_days
(
    day Date,
    agent LowCardinality(String),
    node LowCardinality(String),
    model LowCardinality(String),
    topic LowCardinality(String),
    partition UInt16,
    events SimpleAggregateFunction(sum, UInt64),
    tasks AggregateFunction(uniq, String),
    calls SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64),
    output_tokens SimpleAggregateFunction(sum, UInt64),
    cost_usd SimpleAggregateFunction(sum, Decimal(38, 9))
)
ENGINE = AggregatingMergeTree
ORDER BY (day, agent, node, model, topic, partition)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.agent_days_mv TO dats.agent_days AS
SELECT
    toDate(time, 'UTC') AS day, if(type = 'dats.model.called', concat('model:', purpose), source) AS agent, node, model, topic, partition,
    count() AS events,
    uniqStateIf(task_id, task_id != '') AS tasks,
    countIf(type = 'dats.model.called') AS calls,
    countIf(type = 'dats.model.called' AND outcome != 'ok' OR type = 'dats.task.attempt.failed') AS errors,
    sumIf(output_tokens, type = 'dats.model.called') AS output_tokens,
    sumIf(cost_usd, type = 'dats.model.called') AS cost_usd
FROM dats.events
GROUP BY day, agent, node, model, topic, partition;

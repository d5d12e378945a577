-- Every event of the log, one wide row each, never changed. Everything else here is made of it by materialized views, so it can all be dropped and built again.
--
-- Q1. A row is a record of the log: (topic, partition, offset). Each once: see processors/materialisation/history.
-- Q2. What was said of a task and its attempt before (model, node, tier ...) is copied onto each later row: no joins.
-- Q3. Empty string, 0 and 1970 mean "does not apply"; NULL only where 0 would be an answer.
CREATE DATABASE IF NOT EXISTS dats;

CREATE TABLE IF NOT EXISTS dats.events
(
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64,
    id String,
    type LowCardinality(String),
    schema_version UInt16,
    time DateTime64(3, 'UTC'),
    source LowCardinality(String),
    actor LowCardinality(String),
    subject String,
    project_id LowCardinality(String),
    correlation_id String,
    causation_id String,
    trace_id String,
    config_version LowCardinality(String),

    task_id String,
    parent_id String,
    attempt UInt16,
    task_created_at DateTime64(3, 'UTC'),
    mode LowCardinality(String),
    domain LowCardinality(String),
    tier LowCardinality(String),
    priority LowCardinality(String),

    provenance_id String,
    -- Set on the event that ends an execution (one attempt of a task): accepted, rejected, failed, timed_out, cancelled.
    execution_status LowCardinality(String),
    ready_at DateTime64(3, 'UTC'),
    started_at DateTime64(3, 'UTC'),
    output_at DateTime64(3, 'UTC'),
    node LowCardinality(String),
    worker LowCardinality(String),
    fence String,
    model LowCardinality(String),
    provider LowCardinality(String),
    model_digest LowCardinality(String),
    scripted Bool,
    prompt_version LowCardinality(String),
    prompt_sha256 String,
    input_tokens UInt64,
    output_tokens UInt64,
    duration_ms Float64,
    confidence Nullable(Float64),
    artifact_ids Array(String),
    artifact_paths Array(String),
    artifact_types Array(LowCardinality(String)),
    artifact_sha256 Array(String),
    artifact_bytes Array(UInt64),
    consumed_ids Array(String),
    consumed_tasks Array(String),

    profile LowCardinality(String),
    score Nullable(Float64),
    checks_passed Array(LowCardinality(String)),
    checks_failed Array(LowCardinality(String)),
    reasons Array(String),
    error_code LowCardinality(String),
    error_message String,
    execution_time_ms Float64,

    -- Of a model call.
    operation LowCardinality(String),
    purpose LowCardinality(String),
    outcome LowCardinality(String),
    first_chunk_ms Nullable(Float64),
    cost_usd Decimal(18, 9),
    price_version LowCardinality(String),

    data String CODEC(ZSTD(3)),

    INDEX by_position offset TYPE minmax GRANULARITY 1,
    INDEX by_task task_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (project_id, toStartOfMinute(time), topic, partition, offset)
-- The same block sent again within the last thousand is dropped, here and in the views.
SETTINGS non_replicated_deduplication_window = 1000;

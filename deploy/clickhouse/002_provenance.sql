-- One row an execution (an attempt of a task, from ready to its verdict): what made which artifacts from what, and what became of them.
CREATE TABLE IF NOT EXISTS dats.provenance
(
    provenance_id String,
    project_id LowCardinality(String),
    time DateTime64(3, 'UTC'),
    status LowCardinality(String),
    task_id String,
    parent_id String,
    attempt UInt16,
    mode LowCardinality(String),
    domain LowCardinality(String),
    tier LowCardinality(String),
    priority LowCardinality(String),
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
    config_version LowCardinality(String),
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
    trace_id String,
    correlation_id String,
    event_id String,
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64,

    INDEX by_provenance provenance_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_task task_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_artifact artifact_ids TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (project_id, time, task_id, attempt)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.provenance_mv TO dats.provenance AS
SELECT
    provenance_id, project_id, time, execution_status AS status, task_id, parent_id, attempt, mode, domain, tier, priority,
    ready_at, started_at, output_at, node, worker, fence, model, provider, model_digest, scripted, prompt_version, prompt_sha256, config_version,
    input_tokens, output_tokens, duration_ms, confidence,
    artifact_ids, artifact_paths, artifact_types, artifact_sha256, artifact_bytes, consumed_ids, consumed_tasks,
    profile, score, checks_passed, checks_failed, reasons, error_code, error_message,
    trace_id, correlation_id, id AS event_id, topic, partition, offset
FROM dats.events
WHERE execution_status != '';

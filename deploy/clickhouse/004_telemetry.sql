-- Telemetry: one row a model call, one row a node sample. Kept for a while; what is history (costs, counts) is kept in 005.
CREATE TABLE IF NOT EXISTS dats.model_calls
(
    event_id String,
    time DateTime64(3, 'UTC'),
    project_id LowCardinality(String),
    task_id String,
    attempt UInt16,
    node LowCardinality(String),
    model LowCardinality(String),
    provider LowCardinality(String),
    operation LowCardinality(String),
    purpose LowCardinality(String),
    outcome LowCardinality(String),
    error_type LowCardinality(String),
    input_tokens UInt64,
    output_tokens UInt64,
    first_chunk_ms Nullable(Float64),
    duration_ms Float64,
    cost_usd Decimal(18, 9),
    price_version LowCardinality(String),
    trace_id String,
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64,

    INDEX by_task task_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (project_id, time, model)
TTL toDateTime(time) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.model_calls_mv TO dats.model_calls AS
SELECT
    id AS event_id, time, project_id, task_id, attempt, node, model, provider, operation, purpose, outcome, error_code AS error_type,
    input_tokens, output_tokens, first_chunk_ms, duration_ms, cost_usd, price_version, trace_id, topic, partition, offset
FROM dats.events
WHERE type = 'dats.model.called';

CREATE TABLE IF NOT EXISTS dats.node_samples
(
    event_id String,
    time DateTime64(3, 'UTC'),
    node LowCardinality(String),
    worker LowCardinality(String),
    version LowCardinality(String),
    roles LowCardinality(String),
    uptime_s Float64,
    cpu_ratio Float64,
    load_1m Float64,
    rss_bytes UInt64,
    memory_free_bytes UInt64,
    memory_total_bytes UInt64,
    loop_delay_p99_ms Float64,
    running_work UInt32,
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64
)
ENGINE = MergeTree
ORDER BY (node, time)
TTL toDateTime(time) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.node_samples_mv TO dats.node_samples AS
SELECT
    id AS event_id, time, node, worker,
    JSONExtractString(data, 'version') AS version,
    JSONExtractString(data, 'roles') AS roles,
    JSONExtractFloat(data, 'uptime_s') AS uptime_s,
    JSONExtractFloat(data, 'cpu_ratio') AS cpu_ratio,
    JSONExtractFloat(data, 'load_1m') AS load_1m,
    JSONExtractUInt(data, 'rss_bytes') AS rss_bytes,
    JSONExtractUInt(data, 'memory_free_bytes') AS memory_free_bytes,
    JSONExtractUInt(data, 'memory_total_bytes') AS memory_total_bytes,
    JSONExtractFloat(data, 'loop_delay_p99_ms') AS loop_delay_p99_ms,
    JSONExtractUInt(data, 'running_work') AS running_work,
    topic, partition, offset
FROM dats.events
WHERE type = 'dats.node.sampled';

-- Artifacts, and what was made from what: an edge from each artifact consumed to each artifact made, kept in both directions.
CREATE TABLE IF NOT EXISTS dats.artifacts
(
    artifact_id String,
    project_id LowCardinality(String),
    task_id String,
    attempt UInt16,
    provenance_id String,
    path String,
    type LowCardinality(String),
    sha256 String,
    bytes UInt64,
    model LowCardinality(String),
    node LowCardinality(String),
    time DateTime64(3, 'UTC'),
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64
)
ENGINE = MergeTree
ORDER BY (artifact_id, offset)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.artifacts_mv TO dats.artifacts AS
SELECT
    a.1 AS artifact_id, e.project_id AS project_id, e.task_id AS task_id, e.attempt AS attempt, e.provenance_id AS provenance_id,
    a.2 AS path, a.3 AS type, a.4 AS sha256, a.5 AS bytes, e.model AS model, e.node AS node, e.time AS time, e.topic AS topic, e.partition AS partition, e.offset AS offset
FROM dats.events AS e
ARRAY JOIN arrayZip(e.artifact_ids, e.artifact_paths, e.artifact_types, e.artifact_sha256, e.artifact_bytes) AS a
WHERE e.type = 'dats.task.output.created';

CREATE TABLE IF NOT EXISTS dats.artifact_edges
(
    source_id String,
    target_id String,
    kind LowCardinality(String),
    project_id LowCardinality(String),
    task_id String,
    attempt UInt16,
    time DateTime64(3, 'UTC'),
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64
)
ENGINE = MergeTree
ORDER BY (source_id, target_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS dats.artifact_edges_up AS dats.artifact_edges
ENGINE = MergeTree
ORDER BY (target_id, source_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.artifact_edges_mv TO dats.artifact_edges AS
SELECT source_id, target_id, 'consumed' AS kind, project_id, task_id, attempt, time, topic, partition, offset
FROM dats.events
ARRAY JOIN artifact_ids AS target_id
ARRAY JOIN consumed_ids AS source_id
WHERE type = 'dats.task.output.created';

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.artifact_edges_up_mv TO dats.artifact_edges_up AS
SELECT source_id, target_id, 'consumed' AS kind, project_id, task_id, attempt, time, topic, partition, offset
FROM dats.events
ARRAY JOIN artifact_ids AS target_id
ARRAY JOIN consumed_ids AS source_id
WHERE type = 'dats.task.output.created';

-- What was said about artifacts later. `dats.tainted` is how each stands now; who was cleared again is not in it.
CREATE TABLE IF NOT EXISTS dats.artifact_marks
(
    artifact_id String,
    project_id LowCardinality(String),
    mark LowCardinality(String),
    time DateTime64(3, 'UTC'),
    event_id String,
    topic LowCardinality(String),
    partition UInt16,
    offset UInt64
)
ENGINE = MergeTree
ORDER BY (artifact_id, offset)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.artifact_marks_mv TO dats.artifact_marks AS
SELECT
    subject AS artifact_id, project_id,
    multiIf(type = 'dats.artifact.tainted', 'tainted', type = 'dats.artifact.suspect', 'suspect', type = 'dats.artifact.reverted', 'reverted', 'clean') AS mark,
    time, id AS event_id, topic, partition, offset
FROM dats.events
WHERE type IN ('dats.artifact.tainted', 'dats.artifact.suspect', 'dats.artifact.revalidated', 'dats.artifact.reverted');

CREATE VIEW IF NOT EXISTS dats.tainted AS
SELECT artifact_id, any(project_id) AS project_id, argMax(mark, offset) AS taint, argMax(dats.artifact_marks.time, offset) AS since
FROM dats.artifact_marks
GROUP BY artifact_id
HAVING taint != 'clean';

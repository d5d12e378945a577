-- How is each node: which model calls were made for it, how fast were they, and how busy is it now?
--
-- Calls from minutes of model calls; CPU and memory from the newest sample of each of the node's processes within a minute of its newest one (samples are
-- of the node, whatever project is asked for). `cpu_cores`: cores in use by its processes together.
WITH
    calls AS
    (
        SELECT
            node,
            sum(calls) AS calls,
            sum(errors) AS errors,
            sum(input_tokens) AS input_tokens,
            sum(output_tokens) AS output_tokens,
            sum(cost_usd) AS cost_usd,
            quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms) AS took
        FROM dats.call_minutes
        WHERE ({project:String} = '' OR project_id = {project:String})
            AND minute >= toStartOfMinute({since:DateTime64(3, 'UTC')}) AND minute < {until:DateTime64(3, 'UTC')}
        GROUP BY node
    ),
    newest AS
    (
        SELECT
            node, worker, max(time) AS at, argMax(version, time) AS version, argMax(cpu_ratio, time) AS cpu, argMax(load_1m, time) AS load_1m,
            argMax(rss_bytes, time) AS rss, argMax(memory_free_bytes, time) AS free, argMax(memory_total_bytes, time) AS total, argMax(running_work, time) AS running
        FROM dats.node_samples
        WHERE time >= {since:DateTime64(3, 'UTC')} AND time < {until:DateTime64(3, 'UTC')}
        GROUP BY node, worker
    ),
    latest AS (SELECT node, max(at) AS latest_at FROM newest GROUP BY node),
    samples AS
    (
        SELECT
            node,
            any(latest_at) AS sampled_at,
            argMax(version, at) AS version,
            count() AS processes,
            sum(cpu) AS cpu_cores,
            argMax(load_1m, at) AS load_1m,
            sum(rss) AS rss_bytes,
            argMax(free, at) AS memory_free_bytes,
            argMax(total, at) AS memory_total_bytes,
            sum(running) AS running_work
        FROM newest INNER JOIN latest USING (node)
        WHERE at >= latest_at - INTERVAL 60 SECOND
        GROUP BY node
    )
SELECT
    node,
    calls,
    errors,
    if(calls = 0, 0, round(errors / calls, 4)) AS error_ratio,
    input_tokens,
    output_tokens,
    cost_usd,
    if(empty(took), NULL, round(took[1], 1)) AS p50_ms,
    if(empty(took), NULL, round(took[2], 1)) AS p95_ms,
    if(empty(took), NULL, round(took[3], 1)) AS p99_ms,
    nullIf(sampled_at, toDateTime64(0, 3, 'UTC')) AS sampled_at,
    version,
    processes,
    round(cpu_cores, 3) AS cpu_cores,
    round(load_1m, 2) AS load_1m,
    rss_bytes,
    memory_free_bytes,
    memory_total_bytes,
    running_work
FROM calls FULL OUTER JOIN samples USING (node)
ORDER BY calls DESC, node
LIMIT {limit:UInt32}

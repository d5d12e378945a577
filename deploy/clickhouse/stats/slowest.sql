-- Which executions took longest, from ready to their end, and where did the time go?
--
-- Milliseconds: waiting for a worker (queue), the model's work, and what came after it (checks).
SELECT
    provenance_id,
    project_id,
    task_id,
    attempt,
    status,
    model,
    node,
    dateDiff('millisecond', ready_at, time) AS total_ms,
    if(toUnixTimestamp64Milli(started_at) = 0, NULL, dateDiff('millisecond', ready_at, started_at)) AS queue_ms,
    duration_ms AS model_ms,
    if(toUnixTimestamp64Milli(output_at) = 0, NULL, dateDiff('millisecond', output_at, time)) AS after_ms,
    time AS finished_at
FROM dats.provenance
WHERE ({project:String} = '' OR project_id = {project:String})
    AND time >= {since:DateTime64(3, 'UTC')} AND time < {until:DateTime64(3, 'UTC')}
    AND toUnixTimestamp64Milli(ready_at) > 0
ORDER BY total_ms DESC, provenance_id
LIMIT {limit:UInt32}

-- How is each project: how many tasks came and how did they end, how often was something tried again, how long did tasks take?
--
-- Whole days. Percentiles are of tasks that were completed, from creation to completion, off by 1 % at most; milliseconds.
SELECT
    project_id,
    sum(created) AS created,
    sum(completed) AS completed,
    sum(failed) AS failed,
    sum(cancelled) AS cancelled,
    sum(retries) AS retries,
    sum(accepted) AS accepted,
    sum(rejected) AS rejected,
    sum(calls) AS calls,
    sum(cost_usd) AS cost_usd,
    round(arrayElement(quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(execution_time_ms) AS took, 1), 1) AS p50_ms,
    round(arrayElement(took, 2), 1) AS p95_ms,
    round(arrayElement(took, 3), 1) AS p99_ms,
    min(day) AS first_day,
    max(day) AS last_day
FROM dats.project_days
WHERE ({project:String} = '' OR project_id = {project:String})
    AND day >= toDate({since:DateTime64(3, 'UTC')}, 'UTC') AND day < {until:DateTime64(3, 'UTC')}
GROUP BY project_id
ORDER BY created DESC, project_id
LIMIT {limit:UInt32}

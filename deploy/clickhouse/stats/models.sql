-- How is each model: how often was it asked, how often did it fail, what did it cost and how long did it take?
--
-- From minutes of model calls (kept 400 days). Percentiles are off by 1 % at most; milliseconds. "first chunk" is the time to the first piece of the answer.
SELECT
    model,
    provider,
    sum(calls) AS calls,
    sum(errors) AS errors,
    round(errors / calls, 4) AS error_ratio,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd,
    round(arrayElement(quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms) AS took, 1), 1) AS p50_ms,
    round(arrayElement(took, 2), 1) AS p95_ms,
    round(arrayElement(took, 3), 1) AS p99_ms,
    round(arrayElement(quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(first_chunk_ms) AS first, 1), 1) AS first_chunk_p50_ms,
    round(arrayElement(first, 2), 1) AS first_chunk_p95_ms,
    round(arrayElement(first, 3), 1) AS first_chunk_p99_ms
FROM dats.call_minutes
WHERE ({project:String} = '' OR project_id = {project:String})
    AND minute >= toStartOfMinute({since:DateTime64(3, 'UTC')}) AND minute < {until:DateTime64(3, 'UTC')}
GROUP BY model, provider
ORDER BY calls DESC, model, provider
LIMIT {limit:UInt32}

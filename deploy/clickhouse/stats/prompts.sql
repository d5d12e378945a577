-- How do prompt versions compare: how much of what they give is accepted, at the first attempt and at all, and how long does it take?
--
-- By model, as a prompt may suit one and not another. Percentiles are of the model's work, off by 1 % at most; milliseconds.
SELECT
    prompt_version,
    model,
    sum(m.executions) AS executions,
    sumIf(m.executions, status = 'accepted') AS accepted,
    sumIf(m.executions, status = 'rejected') AS rejected,
    sumIf(m.executions, status IN ('failed', 'timed_out')) AS failed,
    if(accepted + rejected + failed = 0, NULL, round(accepted / (accepted + rejected + failed), 4)) AS acceptance,
    sumIf(m.executions, is_first AND status != 'cancelled') AS first_attempts,
    if(first_attempts = 0, NULL, round(sumIf(m.executions, is_first AND status = 'accepted') / first_attempts, 4)) AS first_pass_yield,
    sum(m.artifacts) AS artifacts,
    round(arrayElement(quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(m.duration_ms) AS took, 1), 1) AS p50_ms,
    round(arrayElement(took, 2), 1) AS p95_ms
FROM dats.execution_minutes AS m
WHERE ({project:String} = '' OR project_id = {project:String})
    AND minute >= toStartOfMinute({since:DateTime64(3, 'UTC')}) AND minute < {until:DateTime64(3, 'UTC')}
GROUP BY prompt_version, model
ORDER BY executions DESC, prompt_version, model
LIMIT {limit:UInt32}

-- Which share of tasks is accepted at the first attempt, by model, prompt version and tier?
--
-- First attempts that were cancelled count on neither side. `attempts_per_accepted`: all attempts there were, for one that was accepted.
SELECT
    model,
    prompt_version,
    tier,
    sumIf(executions, is_first AND status != 'cancelled') AS first_attempts,
    sumIf(executions, is_first AND status = 'accepted') AS accepted_at_first,
    if(first_attempts = 0, NULL, round(accepted_at_first / first_attempts, 4)) AS first_pass_yield,
    sumIf(executions, status != 'cancelled') AS attempts,
    sumIf(executions, status = 'accepted') AS accepted,
    if(accepted = 0, NULL, round(attempts / accepted, 3)) AS attempts_per_accepted
FROM dats.execution_minutes
WHERE ({project:String} = '' OR project_id = {project:String})
    AND minute >= toStartOfMinute({since:DateTime64(3, 'UTC')}) AND minute < {until:DateTime64(3, 'UTC')}
GROUP BY model, prompt_version, tier
HAVING attempts > 0
ORDER BY first_attempts DESC, model, prompt_version, tier
LIMIT {limit:UInt32}

-- What did it cost: per project and day, and for each artifact that was accepted, everything rejected on the way included?
--
-- USD, by the prices of servers.yaml at the time of the call; a model without a price costs 0 here. Whole days.
SELECT
    project_id,
    day,
    sum(calls) AS calls,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd,
    sum(accepted) AS accepted,
    sum(rejected) AS rejected,
    sum(accepted_artifacts) AS accepted_artifacts,
    if(accepted_artifacts = 0, NULL, round(toFloat64(cost_usd) / accepted_artifacts, 9)) AS cost_per_accepted_artifact_usd
FROM dats.project_days
WHERE ({project:String} = '' OR project_id = {project:String})
    AND day >= toDate({since:DateTime64(3, 'UTC')}, 'UTC') AND day < {until:DateTime64(3, 'UTC')}
GROUP BY project_id, day
HAVING calls + accepted + rejected > 0
ORDER BY day DESC, cost_usd DESC, project_id
LIMIT {limit:UInt32}

-- Why do executions end without being accepted: which error codes and reasons, by model and prompt version?
--
-- `share` is of all executions of that model and prompt version. `reasons`: the most frequent ones (a sample, first 200 characters each).
WITH ends AS
(
    SELECT model, prompt_version, status, error_code, task_id, if(empty(reasons) AND error_message != '', [error_message], reasons) AS said
    FROM dats.provenance
    WHERE ({project:String} = '' OR project_id = {project:String})
        AND time >= {since:DateTime64(3, 'UTC')} AND time < {until:DateTime64(3, 'UTC')}
)
SELECT
    model,
    prompt_version,
    status,
    error_code,
    count() AS executions,
    round(executions / any(of_all), 4) AS share,
    uniqExact(task_id) AS tasks,
    topKArray(3)(arrayMap(reason -> substringUTF8(reason, 1, 200), said)) AS reasons
FROM ends
INNER JOIN (SELECT model, prompt_version, count() AS of_all FROM ends GROUP BY model, prompt_version) AS totals USING (model, prompt_version)
WHERE status != 'accepted'
GROUP BY model, prompt_version, status, error_code
ORDER BY executions DESC, model, prompt_version, status, error_code
LIMIT {limit:UInt32}

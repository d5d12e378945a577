-- Who does what here: which deciders, effects, gateways and models said how much, on which nodes, for how many tasks, with how many failures?
--
-- An agent is what an event names as its source, or a model with its purpose. Whole days. Of all projects it is read from daily counts; of one project from
-- the events themselves, which takes longer.
SELECT
    agent,
    model,
    groupUniqArray(10)(node) AS nodes,
    sum(events) AS events,
    uniqMerge(tasks) AS tasks,
    sum(calls) AS calls,
    sum(errors) AS errors,
    sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd,
    min(day) AS first_day,
    max(day) AS last_day
FROM
(
    SELECT day, agent, node, model, events, tasks, calls, errors, output_tokens, cost_usd
    FROM dats.agent_days
    WHERE {project:String} = '' AND day >= toDate({since:DateTime64(3, 'UTC')}, 'UTC') AND day < {until:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT
        toDate(time, 'UTC') AS day,
        if(type = 'dats.model.called', concat('model:', purpose), source) AS agent,
        node,
        model,
        count() AS events,
        uniqStateIf(task_id, task_id != '') AS tasks,
        countIf(type = 'dats.model.called') AS calls,
        countIf(type = 'dats.model.called' AND outcome != 'ok' OR type = 'dats.task.attempt.failed') AS errors,
        sumIf(dats.events.output_tokens, type = 'dats.model.called') AS output_tokens,
        sumIf(dats.events.cost_usd, type = 'dats.model.called') AS cost_usd
    FROM dats.events
    WHERE {project:String} != '' AND project_id = {project:String}
        AND time >= toStartOfDay({since:DateTime64(3, 'UTC')}, 'UTC') AND time < {until:DateTime64(3, 'UTC')}
    GROUP BY day, agent, node, model
)
GROUP BY agent, model
ORDER BY events DESC, agent, model
LIMIT {limit:UInt32}

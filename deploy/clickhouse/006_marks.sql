-- How artifacts stand when several cascades and rollbacks speak of them. Marks are per cascade, as the views have it (processors/materialisation/marks.ts):
--
-- K1. An artifact is tainted while any cascade says so, else suspect while any holds it so. What a cascade tainted it does not clear: a verdict that comes after is too late.
-- K2. Only a verdict that clears ends the suspicion of its cascade: any other ('none') changes nothing, `tainted` is still to come.
-- K3. What was taken back is `reverted`, however bad it is; restored, it stands as its marks say. Rollbacks have no cascade: their marks are those of cascade ''.
-- No build before this file wrote marks of restored artifacts, or two cascades: nothing that is there is to be made anew.
ALTER TABLE dats.artifact_marks ADD COLUMN IF NOT EXISTS cascade_id String;

ALTER TABLE dats.artifact_marks_mv MODIFY QUERY
SELECT
    subject AS artifact_id, project_id,
    multiIf(type = 'dats.artifact.tainted', 'tainted', type = 'dats.artifact.suspect', 'suspect', type = 'dats.artifact.reverted', 'reverted', type = 'dats.artifact.restored', 'restored', JSONExtractString(data, 'verdict') = 'cleared', 'clean', 'none') AS mark,
    JSONExtractString(data, 'cascade_id') AS cascade_id,
    time, id AS event_id, topic, partition, offset
FROM dats.events
WHERE type IN ('dats.artifact.tainted', 'dats.artifact.suspect', 'dats.artifact.revalidated', 'dats.artifact.reverted', 'dats.artifact.restored');

CREATE OR REPLACE VIEW dats.tainted AS
SELECT
    artifact_id,
    any(project) AS project_id,
    multiIf(has(groupArray(said), 'reverted'), 'reverted', has(groupArray(said), 'tainted'), 'tainted', has(groupArray(said), 'suspect'), 'suspect', 'clean') AS taint,
    argMax(said_at, newest) AS since
FROM
(
    SELECT
        artifact_id,
        any(project_id) AS project,
        if(cascade_id != '' AND countIf(mark = 'tainted') > 0, 'tainted', argMax(mark, offset)) AS said,
        argMax(time, offset) AS said_at,
        max(offset) AS newest
    FROM dats.artifact_marks
    WHERE mark != 'none'
    GROUP BY artifact_id, cascade_id
)
GROUP BY artifact_id
HAVING taint != 'clean';

-- What must hold at every commit, as queries that return the rows for which it does not. Valid on
-- SQLite and PostgreSQL. Each query begins with a line `-- name:`; the numbers are those of the list
-- of invariants in the design. Run by `SqlStore::check`, the tests and `pithead doctor`.

-- name: live_counts_the_open_leases
-- 4: `live` equals the leases that the miner holds.
SELECT r.id FROM registration r
LEFT JOIN slot s ON s.holder = r.id AND s.holder_kind = 'miner' AND s.state IN ('offered', 'running')
GROUP BY r.id, r.live HAVING r.live <> COUNT(s.task_id)

-- name: leases_have_a_holder_and_times
-- 3: a lease is held by somebody, since a moment, until a moment, at an attempt; `running` is fetched.
SELECT s.task_id FROM slot s
WHERE s.state IN ('offered', 'running')
  AND (s.holder IS NULL OR s.holder_kind IS NULL OR s.granted_at IS NULL OR s.expires_at IS NULL
    OR s.attempt < 1 OR (s.state = 'running') <> (s.fetched_at IS NOT NULL))

-- name: leases_are_held_by_open_registrations
-- 4: closing a registration takes its leases away, and a closed one gets none.
SELECT s.task_id FROM slot s
WHERE s.state IN ('offered', 'running') AND s.holder_kind = 'miner'
  AND NOT EXISTS (SELECT 1 FROM registration r WHERE r.id = s.holder AND r.closed_at IS NULL)

-- name: only_leases_expire
-- 6: what has ended, or waits, has no lease to lose.
SELECT s.task_id FROM slot s
WHERE s.state NOT IN ('offered', 'running') AND s.expires_at IS NOT NULL

-- name: counts_of_a_task_equal_its_slots
-- 1: `slots`, `answered` and `failed` say what the rows of the slots say; a hedge is beside them.
SELECT t.id FROM task t LEFT JOIN slot s ON s.task_id = t.id
GROUP BY t.id, t.slots, t.answered, t.failed
HAVING t.slots <> SUM(CASE WHEN s.hedge_of IS NULL THEN 1 ELSE 0 END)
  OR t.answered <> SUM(CASE WHEN s.state = 'answered' THEN 1 ELSE 0 END)
  OR t.failed <> SUM(CASE WHEN s.state = 'failed' THEN 1 ELSE 0 END)

-- name: one_slot_of_a_hedge_goes_on
-- 3: a hedge and its straggler are both leased, or one of them was superseded.
SELECT h.task_id FROM slot h LEFT JOIN slot o ON o.task_id = h.task_id AND o.slot = h.hedge_of
WHERE h.hedge_of IS NOT NULL AND (o.slot IS NULL OR o.hedged_by <> h.slot OR NOT (
  h.state = 'superseded' OR o.state = 'superseded'
  OR (h.state IN ('offered', 'running') AND o.state IN ('offered', 'running'))))

-- name: ended_tasks_have_no_pending_slots
-- 6: nothing is left to do on a task that ended.
SELECT t.id FROM task t JOIN slot s ON s.task_id = t.id
WHERE t.state <> 'open' AND s.state IN ('queued', 'offered', 'running')

-- name: open_tasks_can_still_end
-- 1: an open task has a slot that waits or is leased, and not yet enough answers.
SELECT t.id FROM task t
WHERE t.state = 'open' AND (t.answered >= t.enough OR NOT EXISTS (
  SELECT 1 FROM slot s WHERE s.task_id = t.id AND s.state IN ('queued', 'offered', 'running')))

-- name: ended_tasks_have_a_moment_of_their_end
-- 6: `finished_at` is there if and only if the task ended.
SELECT t.id FROM task t WHERE (t.state = 'open') <> (t.finished_at IS NULL)

-- name: done_tasks_have_their_answers
-- 1: done needs enough answers, or at least the smallest number.
SELECT t.id FROM task t
WHERE t.state IN ('done', 'approved') AND t.answered < t.enough AND t.answered < t.min_responses

-- name: answered_slots_have_their_response
-- 5: of the lease that was answered.
SELECT s.task_id FROM slot s
WHERE s.state = 'answered' AND NOT EXISTS (
  SELECT 1 FROM response r WHERE r.task_id = s.task_id AND r.slot = s.slot
    AND r.attempt = s.attempt AND r.holder = s.holder)

-- name: responses_have_their_answered_slot
-- 5: no response outside a lease was ever taken.
SELECT r.task_id FROM response r
WHERE NOT EXISTS (
  SELECT 1 FROM slot s WHERE s.task_id = r.task_id AND s.slot = r.slot AND s.state = 'answered'
    AND s.attempt = r.attempt AND s.holder = r.holder)

-- name: lost_attempts_are_past
-- 3: an attempt that was lost is not the one that lives or answered.
SELECT a.task_id FROM attempt a JOIN slot s ON s.task_id = a.task_id AND s.slot = a.slot
WHERE a.attempt > s.attempt
  OR (a.attempt = s.attempt AND s.state IN ('offered', 'running', 'answered'))

-- name: every_attempt_left_a_trace
-- 3: a slot's attempts are all lost ones, and the current one if it lives or answered.
SELECT s.task_id FROM slot s
WHERE s.attempt <> (CASE WHEN s.state IN ('offered', 'running', 'answered') THEN 1 ELSE 0 END)
  + (SELECT COUNT(*) FROM attempt a WHERE a.task_id = s.task_id AND a.slot = s.slot)

-- name: evaluations_judge_a_response
-- 5: of a task that is done.
SELECT x.task_id FROM evaluation x
WHERE NOT EXISTS (
  SELECT 1 FROM response r JOIN task t ON t.id = r.task_id
  WHERE r.task_id = x.task_id AND r.slot = x.slot AND t.state IN ('done', 'approved'))

-- name: approved_tasks_were_judged_whole
-- 5: every response of an approved task was judged, and one of them is the best.
SELECT t.id FROM task t
WHERE t.state = 'approved' AND (
  NOT EXISTS (SELECT 1 FROM response r WHERE r.task_id = t.id AND r.slot = t.best_slot)
  OR EXISTS (SELECT 1 FROM response r WHERE r.task_id = t.id AND NOT EXISTS (
    SELECT 1 FROM evaluation x WHERE x.task_id = r.task_id AND x.slot = r.slot)))

-- name: records_are_not_short_of_rows
-- 5: a miner's counters hold at least what its rows say. Rows may have been forgotten since.
SELECT r.id FROM registration r
LEFT JOIN (SELECT registration_id, COUNT(*) AS scores FROM score GROUP BY registration_id) x
  ON x.registration_id = r.id
WHERE r.answered < (SELECT COUNT(*) FROM slot s
    WHERE s.holder = r.id AND s.holder_kind = 'miner' AND s.state = 'answered')
  OR r.scored < x.scores

-- name: deliveries_have_their_endpoint_or_url
-- Whoever is deleted takes what waits for him with him.
SELECT d.id FROM delivery d
WHERE (d.webhook_id IS NULL) <> (d.url IS NOT NULL)
  OR (d.webhook_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM webhook w WHERE w.id = d.webhook_id))

-- name: deliveries_wait_or_are_over
-- What is over was taken or given up, one of the two, and what waits was neither.
SELECT d.id FROM delivery d
WHERE (CASE WHEN d.next_at IS NOT NULL THEN 1 ELSE 0 END)
  + (CASE WHEN d.delivered_at IS NOT NULL THEN 1 ELSE 0 END)
  + (CASE WHEN d.given_up_at IS NOT NULL THEN 1 ELSE 0 END) <> 1

-- name: kinds_belong_to_records
-- A record and its kinds are written and forgotten together.
SELECT k.registration_id FROM miner_performance_kind k
WHERE NOT EXISTS (SELECT 1 FROM miner_performance_stats s
  WHERE s.registration_id = k.registration_id AND s.period_type = k.period_type
    AND s.period_start = k.period_start)

-- name: audit_entries_have_no_gap
-- Entries of a writer are numbered from 1 on; what they say is checked by `inspect audit --verify`.
SELECT a.writer FROM audit a
GROUP BY a.writer HAVING COUNT(*) <> MAX(a.seq) OR MIN(a.seq) <> 1

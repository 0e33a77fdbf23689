-- Returns the status of a queued message as callers see it. A claimed message whose attempt has not
-- started still counts as waiting.
-- Alias: q queued message.
create or replace function reported_status_v1(q message_queue) returns text language sql immutable as $$
    select case
        when q.attempt_started_at is not null then 'processing'
        when q.status in ('failed', 'scheduled') then q.status
        when q.attempts > 0 then 'retrying'
        else 'pending'
    end
$$;

-- Returns the id under which a further webhook gets an event: another one for each webhook, and the
-- same one at every replay.
create or replace function further_callback_id_v1(webhook_id uuid, event_id uuid) returns uuid
language sql immutable as $$
    select md5(webhook_id::text || event_id::text)::uuid
$$;

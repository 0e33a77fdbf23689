-- Leaves the dead letter of a further webhook as it is when a node of the previous release retries it.
-- Such a node knows only the webhook of each type, and would post the callback there. A retry of this
-- release sets `retried_at`.
create or replace function skip_foreign_retry_v1() returns trigger language plpgsql as $$
begin
    return null;
end
$$;

create or replace trigger foreign_retry_skipped before update on webhook_dead_letters
    for each row when (
        new.webhook_id <> '00000000-0000-0000-0000-000000000000'
        and new.status = 'processing' and old.status <> 'processing'
        and new.retried_at is not distinct from old.retried_at
    )
    execute function skip_foreign_retry_v1();

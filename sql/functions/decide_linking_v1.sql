-- Decides what a linking leads to, in the transaction that makes the queue move: no worker can claim
-- a message before the decision, and no crash can come between.
--
-- The statement that stores the state of the session has locked the queue, so that no message is
-- enqueued meanwhile. A code that a link handed out may be scanned a while after the link has ended:
-- so a link counts while its latest code may still work, also one that has expired or was revoked.
-- A phone that was logged out ends the hold: the next linking is decided by itself.
create or replace function decide_linking_v1() returns trigger language plpgsql as $$
declare
    link phone_links;
    handed_out boolean;
    decided text := 'accepted';
begin
    select * into link from phone_links where instance_id = new.instance_id for no key update;
    if not found then
        return null;
    end if;
    if new.state <> 'connected' then
        if link.used_at is not null and link.unlinked_at is null then
            update phone_links set unlinked_at = now() where instance_id = new.instance_id;
            update instance_lines set hold_until = null, hold_reason = null, hold_kind = null
            where instance_id = new.instance_id and hold_kind = 'linking';
        end if;
        return null;
    end if;
    handed_out := coalesce(link.last_code_at > new.changed_at - interval '10 minutes', false);
    if link.used_at is not null
        or not handed_out and (link.revoked_at is not null or link.expires_at <= now())
    then
        return null;
    end if;
    if handed_out and cardinality(link.phones) > 0 then
        if new.phone is null or new.phone <> all(link.phones) then
            decided := 'wrong_phone';
        end if;
    elsif handed_out and exists (
        select 1 from message_queue where instance_id = new.instance_id and status <> 'failed'
    ) then
        decided := 'held';
    end if;
    update phone_links set used_at = now(), linking = decided where instance_id = new.instance_id;
    if decided = 'accepted' then
        return null;
    end if;
    update instance_lines
    set hold_kind = 'linking', hold_until = now() + interval '100 years',
        hold_reason = case decided
            when 'held' then 'A phone was linked with a link that was handed out: confirm it'
            else 'Another phone than the link allows was linked: it is being logged out'
        end
    where instance_id = new.instance_id;
    if decided = 'wrong_phone' then
        perform pg_notify('wrong_phone_linked', new.instance_id);
    end if;
    return null;
end
$$;

create or replace trigger linking_decided after insert or update of state on instance_connections
    for each row when (new.state in ('connected', 'unpaired', 'logged_out', 'banned'))
    execute function decide_linking_v1();

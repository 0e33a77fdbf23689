-- Aliases: m queued message, n node.

-- name: lock_instance
-- First, so that nobody takes its lease meanwhile.
select id from instances
where id = %(id)s::text and (%(account_id)s::text is null or account_id = %(account_id)s::text)
for no key update;

-- name: end_lease
-- From the commit on no worker claims or starts a message of it.
delete from instance_leases where instance_id = %(id)s::text returning node_id;

-- name: note_removal
insert into instance_removals (instance_id) values (%(id)s::text);

-- name: delete_instance
-- Its line, lease and connection go with it: nothing can be enqueued any more.
delete from instances where id = %(id)s::text;

-- name: under_way
-- Attempts that had started; none counts when the node that made them is gone.
select m.message_id
from message_queue m
where m.instance_id = %(id)s::text and m.attempt_started_at is not null
    and exists (
        select 1 from nodes n where n.id = %(node_id)s::text and n.expires_at > now()
    );

-- name: unfinished
-- Those whose last session must have ended, so that nothing can be added to them any more.
select instance_id as id from instance_removals
where asked_at < now() - make_interval(secs => %(seconds)s::double precision)
order by asked_at;

-- name: finish
delete from instance_removals where instance_id = %(id)s::text;

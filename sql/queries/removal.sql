-- Aliases: m queued message, n node.

-- name: lock_instance
-- Runs first in the transaction: no node can acquire the lease until the commit.
select id from instances
where id = %(id)s::text and (%(account_id)s::text is null or account_id = %(account_id)s::text)
for no key update;

-- name: end_lease
-- After the commit no worker claims or starts a message of this instance.
delete from instance_leases where instance_id = %(id)s::text returning node_id;

-- name: note_removal
insert into instance_removals (instance_id) values (%(id)s::text);

-- name: delete_instance
-- Cascades to its queue, lease and connection, so no message can be enqueued after the commit.
delete from instances where id = %(id)s::text;

-- name: list_attempts_in_flight
-- Returns no attempt of a node whose row has expired: that node is gone.
select m.message_id
from message_queue m
where m.instance_id = %(id)s::text and m.attempt_started_at is not null
    and exists (
        select 1 from nodes n where n.id = %(node_id)s::text and n.expires_at > now()
    );

-- name: list_unfinished
-- Returns removals that are old enough for the instance's last session to have ended. No process
-- can add rows to these instances.
select instance_id as id from instance_removals
where asked_at < now() - make_interval(secs => %(seconds)s::double precision)
order by asked_at;

-- name: finish
delete from instance_removals where instance_id = %(id)s::text;

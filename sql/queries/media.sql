-- Aliases: d expired file, m file, n needed file, q queued message.

-- name: hold_content
-- Shared by all who keep this content; the sweeper waits for them, and they for it.
select pg_advisory_xact_lock_shared(hashtextextended(%(id)s::text, 9))::text as locked;

-- name: keep
insert into media (instance_id, id, mime_type, file_name, size_bytes, expires_at)
values (
    %(instance_id)s::text, %(id)s::text, %(mime_type)s::text, %(file_name)s::text,
    %(size_bytes)s::bigint, now() + make_interval(days => %(days)s::int)
)
on conflict (instance_id, id) do update
set expires_at = greatest(media.expires_at, excluded.expires_at);

-- name: find
select mime_type, file_name, size_bytes from media
where instance_id = %(instance_id)s::text and id = %(id)s::text;

-- name: expire
-- What a waiting or failed message still names is spared for a day; returns how many were looked at.
with due as materialized (
    -- Locks files that have expired.
    select instance_id, id from media
    where expires_at < now()
    order by expires_at
    limit %(max_count)s::int
    for update skip locked
), needed as materialized (
    -- Those that a queued message still names.
    select distinct q.instance_id, named[1] as id
    from message_queue q
    cross join lateral regexp_matches(q.payload::text, '"media:([0-9a-f]{64})"', 'g') as named
    where q.instance_id in (select instance_id from due)
), spared as (
    -- Keeps those for another day.
    update media m set expires_at = now() + interval '1 day'
    from due d
    join needed n on n.instance_id = d.instance_id and n.id = d.id
    where m.instance_id = d.instance_id and m.id = d.id
), gone as (
    -- Deletes the others.
    delete from media m using due d
    where m.instance_id = d.instance_id and m.id = d.id
        and not exists (
            select 1 from needed n where n.instance_id = d.instance_id and n.id = d.id
        )
)
select count(*) as count from due;

-- name: leftovers
select id from media_leftovers order by noted_at limit %(max_count)s::int;

-- name: lock_content
select pg_advisory_xact_lock(hashtextextended(%(id)s::text, 9))::text as locked;

-- name: still_kept
select id from media where id = %(id)s::text limit 1;

-- name: forget_leftover
delete from media_leftovers where id = %(id)s::text;

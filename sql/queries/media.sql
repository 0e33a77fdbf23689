-- Aliases: d expired file or deleted note, f folder of a node, i instance, k deferred file, m file, n needed file,
-- q queued message.

-- name: share_content
-- Locks content against its deletion. Several transactions may store the same content at once; the
-- one that deletes it (lock_content) waits for them, and they for it.
select pg_advisory_xact_lock_shared(hashtextextended(%(id)s::text, 9))::text as locked;

-- name: put_file
insert into media (instance_id, id, mime_type, file_name, size_bytes, expires_at)
values (
    %(instance_id)s::text, %(id)s::text, %(mime_type)s::text, %(file_name)s::text,
    %(size_bytes)s::bigint, now() + make_interval(days => %(days)s::int)
)
on conflict (instance_id, id) do update
set expires_at = greatest(media.expires_at, excluded.expires_at);

-- name: find_file
select mime_type, file_name, size_bytes from media
where instance_id = %(instance_id)s::text and id = %(id)s::text;

-- name: find_files
select id, mime_type, file_name from media
where instance_id = %(instance_id)s::text and id = any(%(ids)s::text[]);

-- name: delete_expired_files
-- Deletes files past their retention. A file that a queued or failed message still names stays for
-- another day. Returns how many files had expired.
with due as materialized (
    -- Locks files that have expired.
    select instance_id, id from media
    where expires_at < now()
    order by expires_at
    limit %(max_count)s::int
    for update skip locked
), needed as materialized (
    -- Finds those that a queued message still names.
    select distinct q.instance_id, named[1] as id
    from message_queue q
    cross join lateral regexp_matches(q.payload::text, '"media:([0-9a-f]{64})"', 'g') as named
    where q.instance_id in (select instance_id from due)
), postponed as (
    -- Lets those expire a day later.
    update media m set expires_at = now() + interval '1 day'
    from due d
    join needed n on n.instance_id = d.instance_id and n.id = d.id
    where m.instance_id = d.instance_id and m.id = d.id
), deleted as (
    -- Deletes the others; a trigger notes their content in media_leftovers.
    delete from media m using due d
    where m.instance_id = d.instance_id and m.id = d.id
        and not exists (
            select 1 from needed n where n.instance_id = d.instance_id and n.id = d.id
        )
)
select count(*) as count from due;

-- name: list_leftovers
-- Content that lost a row, oldest first.
select id from media_leftovers order by noted_at limit %(max_count)s::int;

-- name: lock_content
-- Waits until no transaction stores this content, and keeps others from it.
select pg_advisory_xact_lock(hashtextextended(%(id)s::text, 9))::text as locked;

-- name: find_use
-- Any row that uses this content.
select id from media where id = %(id)s::text limit 1;

-- name: delete_leftover
delete from media_leftovers where id = %(id)s::text;

-- name: stored_bytes
-- The bytes that an account has stored; a content that two instances use counts twice.
select coalesce((
    select sum(m.size_bytes) from instances i join media m on m.instance_id = i.id
    where i.account_id = %(account_id)s::text
), 0)::bigint as used, coalesce((
    select allowed_stored_bytes from accounts where id = %(account_id)s::text
), 0) as allowed;

-- name: note_folder
-- Notes which node serves a folder of deferred files; the workers of one machine share it.
insert into media_folders as f (id, node_id, internal_address)
values (%(folder_id)s::uuid, %(node_id)s::text, %(internal_address)s::text)
on conflict (id) do update
set node_id = excluded.node_id, internal_address = excluded.internal_address, seen_at = now();

-- name: note_deferred
insert into media_deferred (id, folder_id, size_bytes)
values (%(id)s::text, %(folder_id)s::uuid, %(size_bytes)s::bigint)
on conflict (id, folder_id) do nothing;

-- name: find_deferred
-- The other folders that have a file, the one that was seen last first.
select k.folder_id, f.node_id, f.internal_address,
       extract(epoch from clock_timestamp())::double precision as database_seconds
from media_deferred k
join media_folders f on f.id = k.folder_id
where k.id = %(id)s::text and k.folder_id <> %(folder_id)s::uuid
order by f.seen_at desc;

-- name: find_deferred_here
select k.id from media_deferred k where k.id = %(id)s::text and k.folder_id = %(folder_id)s::uuid;

-- name: read_time
-- The time of the database, against which a call of another node is checked.
select extract(epoch from clock_timestamp())::double precision as database_seconds;

-- name: list_deferred
-- A page of the files in a folder, by id.
select k.id, k.size_bytes, exists (select from media m where m.id = k.id) as is_used
from media_deferred k
where k.folder_id = %(folder_id)s::uuid and k.id > %(after)s::text
order by k.id
limit %(max_count)s::int;

-- name: count_deferred
select count(*) as files, coalesce(sum(size_bytes), 0)::bigint as size_bytes
from media_deferred
where folder_id = %(folder_id)s::uuid;

-- name: delete_deferred
-- Content that no file uses any more may be in the bucket by now, and is noted for its deletion.
with deleted as (
    -- Deletes the note; the file in the folder follows.
    delete from media_deferred
    where id = %(id)s::text and folder_id = %(folder_id)s::uuid
    returning id
)
insert into media_leftovers (id)
select d.id from deleted d
where not exists (select from media m where m.id = d.id)
on conflict do nothing;

-- name: delete_orphaned_notes
-- Deletes notes of content that no file uses, in folders that no node has served for a day.
delete from media_deferred
where (id, folder_id) in (
    select k.id, k.folder_id
    from media_deferred k
    join media_folders f on f.id = k.folder_id
    where f.seen_at < now() - interval '1 day'
        and not exists (select from media m where m.id = k.id)
    limit %(max_count)s::int
);

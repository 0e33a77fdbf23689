-- Aliases: c chat, i identity, k contact, o own phone, p picture.

-- name: find_pictures
-- What is known of the pictures of these people and groups.
select phone, url, refresh_at <= now() as is_due
from profile_pictures
where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[]) and expires_at > now();

-- name: store_picture
-- Stores nothing of a person who was erased while the look-up waited: then no other row names them.
insert into profile_pictures as p (instance_id, phone, url, refresh_at, expires_at)
select %(instance_id)s::text, %(phone)s::text, %(url)s::text,
       now() + make_interval(secs => %(refresh_seconds)s::double precision),
       now() + make_interval(secs => %(seconds)s::double precision)
where exists (
        select from contacts k where k.instance_id = %(instance_id)s::text and k.phone = %(phone)s::text
    )
    or exists (
        select from chats c where c.instance_id = %(instance_id)s::text and c.phone = %(phone)s::text
    )
    or exists (
        select from identities i where i.instance_id = %(instance_id)s::text and i.lid = %(phone)s::text
    )
    or exists (
        select from instance_connections o
        where o.instance_id = %(instance_id)s::text and o.phone = %(phone)s::text
    )
on conflict (instance_id, phone) do update
set url = excluded.url, refresh_at = excluded.refresh_at, expires_at = excluded.expires_at;

-- name: drop_pictures
-- The pictures changed; returns those that had been looked up.
delete from profile_pictures
where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[])
returning phone;

-- name: delete_expired_pictures
delete from profile_pictures
where (instance_id, phone) in (
    select p.instance_id, p.phone from profile_pictures p
    where p.expires_at <= now()
    order by p.expires_at
    limit %(max_count)s::int
);

-- Aliases: i identity, t given person.

-- name: find_people
-- The people who have one of these names, a lid or a phone.
select lid, phone, name from identities
where instance_id = %(instance_id)s::text and lid = any(%(names)s::text[])
union
select lid, phone, name from identities
where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[]);

-- name: store_people
-- Stores people by lid. A phone that another lid had before now belongs to the newer lid.
with given as (
    -- The people as rows.
    select * from unnest(%(lids)s::text[], %(phones)s::text[], %(names)s::text[])
        as t (lid, phone, name)
), freed as (
    -- Takes a phone from the person who had it before.
    update identities i set phone = null, updated_at = now()
    from given t
    where i.instance_id = %(instance_id)s::text and i.phone = t.phone and i.lid <> t.lid
    returning i.lid
)
insert into identities as i (instance_id, lid, phone, name)
select %(instance_id)s::text, t.lid, t.phone, t.name
from given t
where (select count(*) from freed) >= 0  -- runs `freed` first: a phone is unique
on conflict (instance_id, lid) do update
set phone = coalesce(excluded.phone, i.phone), name = coalesce(excluded.name, i.name),
    updated_at = now();

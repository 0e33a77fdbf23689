-- Aliases: g given spelling, i identity, n number (in find_people: given name), t given person.

-- name: find_people
-- The people of each instance who have one of these names, a lid or a phone.
select i.instance_id, i.lid, i.phone, i.name
from unnest(%(instance_ids)s::text[], %(names)s::text[]) as n (instance_id, name)
join identities i on i.instance_id = n.instance_id and i.lid = n.name
union
select i.instance_id, i.lid, i.phone, i.name
from unnest(%(instance_ids)s::text[], %(names)s::text[]) as n (instance_id, name)
join identities i on i.instance_id = n.instance_id and i.phone = n.name;

-- name: find_names
-- What is known of chats by any of these names: the number that WhatsApp knows, with the name by which
-- it was found, and the lid.
select n.spelling as name, n.phone, i.lid
from whatsapp_numbers n
left join identities i on i.instance_id = n.instance_id and i.phone = n.phone
where n.instance_id = %(instance_id)s::text and n.spelling = any(%(names)s::text[])
union
select i.phone, i.phone, i.lid from identities i
where i.instance_id = %(instance_id)s::text and i.phone = any(%(names)s::text[])
union
select i.lid, i.phone, i.lid from identities i
where i.instance_id = %(instance_id)s::text and i.lid = any(%(names)s::text[]) and i.phone is not null;

-- name: find_numbers
-- Which of these spellings WhatsApp knows under which number, for many instances at a time.
select g.instance_id, g.spelling, coalesce(n.phone, i.phone) as phone
from unnest(%(instance_ids)s::text[], %(spellings)s::text[]) as g (instance_id, spelling)
left join whatsapp_numbers n on n.instance_id = g.instance_id and n.spelling = g.spelling
left join identities i on i.instance_id = g.instance_id and i.phone = g.spelling
where n.phone is not null or i.phone is not null;

-- name: store_numbers
-- Stores under which number WhatsApp knows each spelling. What was stored of the chat under another
-- spelling moves to that number.
with given as (
    -- The spellings as rows.
    select distinct on (g.instance_id, g.spelling) g.instance_id, g.spelling, g.phone
    from unnest(%(instance_ids)s::text[], %(spellings)s::text[], %(phones)s::text[])
        as g (instance_id, spelling, phone)
    order by g.instance_id, g.spelling
), stored as (
    -- Stores those that are new or changed.
    insert into whatsapp_numbers as n (instance_id, spelling, phone)
    select instance_id, spelling, phone from given
    on conflict (instance_id, spelling) do update
    set phone = excluded.phone, learned_at = now()
    where n.phone <> excluded.phone
    returning n.instance_id, n.spelling, n.phone
)
select merge_chats_v1(
    array_agg(instance_id order by instance_id, spelling), array_agg(spelling order by instance_id, spelling),
    array_agg(phone order by instance_id, spelling)
)
from stored;

-- name: merge_chats
-- Moves what is stored of chats by their lid to the numbers that became known.
select merge_chats_v1(
    array_fill(%(instance_id)s::text, array[cardinality(%(lids)s::text[])]), %(lids)s::text[],
    %(phones)s::text[]
);

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

-- Aliases: a name of a chat, c chat (in save_contacts and store_card_names: contact), g name on a
-- card, h identity by its lid, i identity, k contact, l stored order (in further_page_of_chats: listed
-- chat), m message, p picture, s saved contact, t tag of a chat (in store_card_names: given name), u phone of a stored order.

-- name: list_contacts
select phone, name, short, vname, notify
from contacts
where instance_id = %(instance_id)s::text
    and (
        %(search)s::text = ''
        or strpos(phone, %(search)s::text) > 0
        or strpos(lower(coalesce(name, '') || ' ' || coalesce(notify, '')), lower(%(search)s::text)) > 0
    )
order by position
limit %(limit)s::int offset %(offset)s::bigint;

-- name: find_contact
select phone, name, short, vname, notify
from contacts
where instance_id = %(instance_id)s::text and phone = %(phone)s::text;

-- name: store_card_names
-- Stores the names on contact cards. A person whose number can be written in several ways is one contact.
with given as (
    -- The names by the number that WhatsApp knows.
    select distinct on (g.phone) g.phone, g.name
    from (
        select coalesce(known_chat_v1(%(instance_id)s::text, t.phone), t.phone) as phone, t.name
        from unnest(%(phones)s::text[], %(names)s::text[]) as t (phone, name)
    ) g
    order by g.phone
)
insert into contacts as c (instance_id, phone, vname)
select %(instance_id)s::text, phone, name from given
on conflict (instance_id, phone) do update
set vname = excluded.vname, updated_at = now()
where c.vname is distinct from excluded.vname;

-- name: save_contacts
insert into contacts as c (instance_id, phone, name, short)
select %(instance_id)s::text, s.phone, s.name, s.short
from unnest(%(phones)s::text[], %(names)s::text[], %(shorts)s::text[]) as s (phone, name, short)
order by s.phone
on conflict (instance_id, phone) do update
set name = excluded.name, short = excluded.short, updated_at = now();

-- name: unsave_contacts
-- The contact stays, without its saved name.
update contacts set name = null, short = null, updated_at = now()
where instance_id = %(instance_id)s::text and phone = any(%(phones)s::text[]);

-- name: first_page_of_chats
-- Stores the order of the whole list if it needs more than one page.
with listed as materialized (
    -- Every chat that is not hidden, numbered in the order of the list.
    select phone, row_number() over (order by pinned desc, last_message_at desc, phone) as place
    from chats
    where instance_id = %(instance_id)s::text and not hidden
), stored as (
    -- Stores the order for the further pages; a list that fits into one page needs none.
    insert into chat_listings as l (instance_id, page_size, phones)
    select %(instance_id)s::text, %(page_size)s::int, array_agg(phone order by place)
    from listed
    having count(*) > %(page_size)s::int
    on conflict (instance_id, page_size) do update
    set phones = excluded.phones, made_at = excluded.made_at
)
select phone from listed where place <= %(page_size)s::int order by place;

-- name: further_page_of_chats
-- Follows the order that the first page stored, or the current order if none is stored or it is old.
with stored as materialized (
    -- The order that the first page stored, unless it is too old.
    select phones from chat_listings
    where instance_id = %(instance_id)s::text and page_size = %(page_size)s::int
        and made_at > now() - make_interval(secs => %(seconds)s::double precision)
), place as (
    -- How many chats the pages before this one hold.
    select (%(page)s::bigint - 1) * %(page_size)s::int as first
), shown as (
    -- The page by the stored order, or by the current one if none is stored.
    select u.phone, u.turn
    from stored, place,
        unnest(stored.phones[place.first + 1 : place.first + %(page_size)s::int])
            with ordinality as u (phone, turn)
    union all
    select l.phone, l.turn
    from (
        select phone, row_number() over () as turn
        from (
            select phone from chats
            where instance_id = %(instance_id)s::text and not hidden
                and not exists (select from stored)
            order by pinned desc, last_message_at desc, phone
            limit %(page_size)s::int offset (select first from place)
        ) page
    ) l
)
select phone from shown order by turn;

-- name: find_chats
select c.phone, coalesce(k.name, c.name, k.notify, k.vname) as name, c.unread, c.last_message_at, c.archived,
       c.pinned, c.muted, c.note, c.note_id, c.note_created_at, c.note_updated_at,
       array(
           select t.tag_id::text from chat_tags t
           where t.instance_id = c.instance_id and t.phone = c.phone order by t.tag_id
       ) as tags
from chats c
left join contacts k on k.instance_id = c.instance_id and k.phone = c.phone
where c.instance_id = %(instance_id)s::text and c.phone = any(%(phones)s::text[]) and not c.hidden;

-- name: search_chats
-- Every row also has the number of all chats that were found, and of those with unread messages.
with named as (
    -- The chats that fit, under the names that lists show.
    select c.phone, coalesce(k.name, c.name, k.notify, k.vname) as name, c.unread, c.last_message_at,
           c.pinned, c.muted, c.archived
    from chats c
    left join contacts k on k.instance_id = c.instance_id and k.phone = c.phone
    where c.instance_id = %(instance_id)s::text and not c.hidden
        and (not %(unread_only)s::boolean or c.unread > 0)
)
select phone, name, unread, last_message_at, pinned, muted, archived, count(*) over () as total,
       count(*) filter (where unread > 0) over () as with_unread
from named
where %(search)s::text in ('', phone)
    or strpos(lower(coalesce(name, '')), lower(%(search)s::text)) > 0
    or (%(digits)s::text <> '' and strpos(phone, %(digits)s::text) > 0)
order by unread > 0 desc, pinned desc, last_message_at desc, phone
limit %(limit)s::int offset %(offset)s::bigint;

-- name: last_messages
-- The last message of each of these chats.
select a.phone, m.from_me, m.type, m.payload
from unnest(%(phones)s::text[]) as a (phone)
cross join lateral (
    select from_me, type, payload from messages
    where instance_id = %(instance_id)s::text and phone = a.phone and status in ('sent', 'received')
    order by recorded_at desc, message_id desc
    limit 1
) m;

-- name: list_messages
with since as (
    -- When the chat was cleared; older messages are not listed.
    select cleared_at from chats
    where instance_id = %(instance_id)s::text and phone = %(phone)s::text
), last as (
    -- Where the page before ended.
    select recorded_at, message_id from message_ids
    where instance_id = %(instance_id)s::text and message_id = %(last_message_id)s::text
)
select named.message_id, named.from_me, named.sender, named.status, named.type, named.payload,
       named.sent_files, named.at, named.delivered_at, named.read_at, named.played_at
from unnest(%(names)s::text[]) as a (phone)
-- The newest of each name: only so each is read in the order of its index.
cross join lateral (
    select m.message_id, m.from_me, m.sender, m.status, m.type, m.payload, m.sent_files, m.recorded_at,
           coalesce(m.sent_at, m.created_at) as at, m.delivered_at, m.read_at, m.played_at
    from messages m
    where m.instance_id = %(instance_id)s::text and m.phone = a.phone
        and m.status in ('sent', 'received')
        and m.recorded_at > coalesce((select cleared_at from since), '-infinity')
        and (
            %(last_message_id)s::text is null
            or (m.recorded_at, m.message_id) < (select recorded_at, message_id from last)
        )
    order by m.recorded_at desc, m.message_id desc
    limit %(limit)s::int
) named
order by named.recorded_at desc, named.message_id desc
limit %(limit)s::int;

-- name: find_shown_people
-- The names and pictures of people and groups, as callbacks show them.
select a.phone as asked, coalesce(i.lid, h.lid) as lid,
       coalesce(i.name, h.name, k.notify, k.name, c.name) as name, p.url as picture
from unnest(%(names)s::text[]) as a (phone)
left join identities i on i.instance_id = %(instance_id)s::text and i.phone = a.phone
left join identities h on h.instance_id = %(instance_id)s::text and h.lid = a.phone
left join contacts k on k.instance_id = %(instance_id)s::text and k.phone = a.phone
left join chats c on c.instance_id = %(instance_id)s::text and c.phone = a.phone
left join profile_pictures p
    on p.instance_id = %(instance_id)s::text and p.phone = a.phone and p.expires_at > now();

-- name: find_own_phone
select phone from instance_connections where instance_id = %(instance_id)s::text;

-- name: modify_chat
-- Without *at* it is now, and a chat that is not listed is added. A phone may have made the change
-- earlier: then messages from after it stay, and it adds a chat only where the list shows the change.
insert into chats as c (instance_id, phone, unread, archived, pinned, muted, hidden, cleared_at)
select
    %(instance_id)s::text, %(phone)s::text, (%(action)s::text = 'unread')::int,
    %(action)s::text = 'archive', %(action)s::text = 'pin', %(action)s::text = 'mute',
    %(action)s::text = 'delete',
    case when %(action)s::text in ('clear', 'delete') then coalesce(%(at)s::timestamptz, now()) end
where %(at)s::timestamptz is null
    or %(action)s::text in ('archive', 'pin', 'mute', 'unread')
    or exists (
        select from chats k
        where k.instance_id = %(instance_id)s::text and k.phone = %(phone)s::text
    )
on conflict (instance_id, phone) do update
set unread = case
        when %(action)s::text = 'unread' then greatest(c.unread, 1)
        when %(action)s::text in ('read', 'clear', 'delete')
            and c.last_message_at <= coalesce(%(at)s::timestamptz, 'infinity') then 0
        else c.unread end,
    archived = case %(action)s::text
        when 'archive' then true when 'unarchive' then false else c.archived end,
    pinned = case %(action)s::text when 'pin' then true when 'unpin' then false else c.pinned end,
    muted = case %(action)s::text when 'mute' then true when 'unmute' then false else c.muted end,
    hidden = c.hidden or (
        %(action)s::text = 'delete'
        and c.last_message_at <= coalesce(%(at)s::timestamptz, 'infinity')
    ),
    cleared_at = greatest(excluded.cleared_at, c.cleared_at);

-- name: unread_messages
-- The newest messages of a chat under all its names, as many as it counts unread, with the ids of the
-- provider.
select m.id, m.sender
from chats as c
cross join unnest(%(names)s::text[]) as a (phone)
-- The newest of each name: only so each is read in the order of its index.
cross join lateral (
    select coalesce(provider_message_id, message_id) as id, sender, recorded_at from messages
    where instance_id = c.instance_id and phone = a.phone
        and status = 'received' and not from_me and type <> 'notification'
    order by recorded_at desc
    limit least(c.unread, %(max_count)s::int)
) as m
where c.instance_id = %(instance_id)s::text and c.phone = %(phone)s::text
order by m.recorded_at desc
limit (
    select least(unread, %(max_count)s::int) from chats
    where instance_id = %(instance_id)s::text and phone = %(phone)s::text
);

-- name: newest_message
-- The newest message of a chat under all its names, with the id of the provider.
select coalesce(m.provider_message_id, m.message_id) as id, m.sender, m.from_me, m.at
from unnest(%(names)s::text[]) as a (phone)
-- The newest of each name: only so each is read in the order of its index.
cross join lateral (
    select message_id, provider_message_id, sender, from_me, recorded_at,
           coalesce(sent_at, created_at) as at
    from messages
    where instance_id = %(instance_id)s::text and phone = a.phone
        and status in ('sent', 'received') and type <> 'notification'
    order by recorded_at desc
    limit 1
) m
order by m.recorded_at desc
limit 1;

-- name: set_note
insert into chats as c (instance_id, phone, note, note_id, note_created_at, note_updated_at)
values (
    %(instance_id)s::text, %(phone)s::text, %(note)s::text, %(note_id)s::text, now(), now()
)
on conflict (instance_id, phone) do update
set note = excluded.note,
    note_id = coalesce(c.note_id, excluded.note_id),
    note_created_at = coalesce(c.note_created_at, excluded.note_created_at),
    note_updated_at = excluded.note_updated_at;

-- name: list_tags
select id::text, name, color from tags where instance_id = %(instance_id)s::text order by id;

-- name: add_tag
-- Repeated with the same key, it adds nothing and returns the same id.
insert into tags (instance_id, tag_key, name, color)
select %(instance_id)s::text, %(key)s::uuid, %(name)s::text,
       coalesce(
           %(color)s::smallint,
           mod((select count(*) from tags where instance_id = %(instance_id)s::text), %(colors)s::int)
       )
on conflict (instance_id, tag_key) do update set name = excluded.name
returning id::text;

-- name: edit_tag
update tags set name = %(name)s::text, color = coalesce(%(color)s::smallint, color)
where instance_id = %(instance_id)s::text and id = %(id)s::bigint;

-- name: delete_tag
delete from tags where instance_id = %(instance_id)s::text and id = %(id)s::bigint;

-- name: assign_tag
-- Inserts no row if the tag does not exist.
insert into chat_tags (instance_id, phone, tag_id)
select instance_id, %(phone)s::text, id
from tags
where instance_id = %(instance_id)s::text and id = %(id)s::bigint
on conflict (instance_id, phone, tag_id) do update set tag_id = excluded.tag_id;

-- name: unassign_tag
delete from chat_tags
where instance_id = %(instance_id)s::text and phone = %(phone)s::text and tag_id = %(id)s::bigint;

-- name: names_of
select phone, name, short from contacts
where instance_id = %(instance_id)s::text and phone = any(%(phones)s::text[]) and name is not null;

-- name: add_broadcast_list
-- Adds a list unless the instance has as many as it may have. Requests at once may exceed the limit by
-- as many as they are: it only bounds what is stored.
insert into broadcast_lists (instance_id, id, name, phones)
select %(instance_id)s::text, %(id)s::text, %(name)s::text, %(phones)s::text[]
where (
    select count(*) from broadcast_lists where instance_id = %(instance_id)s::text
) < %(max_count)s::int;

-- name: list_broadcast_lists
select id, name, phones from broadcast_lists
where instance_id = %(instance_id)s::text
order by created_at, id
limit %(limit)s::int offset %(offset)s::bigint;

-- name: replace_broadcast_list
update broadcast_lists set phones = %(phones)s::text[], name = coalesce(%(name)s::text, name)
where instance_id = %(instance_id)s::text and id = %(id)s::text;

-- name: delete_broadcast_list
delete from broadcast_lists where instance_id = %(instance_id)s::text and id = %(id)s::text;

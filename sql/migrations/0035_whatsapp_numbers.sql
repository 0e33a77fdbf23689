-- Under which number WhatsApp knows what callers write. (compatible with: 0001)

create table whatsapp_numbers (
    instance_id text not null,
    spelling    text not null,
    phone       text not null,
    learned_at  timestamptz not null default now(),
    primary key (instance_id, spelling)
);
comment on column whatsapp_numbers.spelling is
    'A number as callers write it; a number without WhatsApp has no row.';
comment on column whatsapp_numbers.phone is 'The number by which WhatsApp knows it.';

-- What is known from events: the number itself, and the other way to write it in Brazil, Argentina and
-- Mexico, as gateway/identities/numbers.py has them.
insert into whatsapp_numbers (instance_id, spelling, phone)
select i.instance_id, s.spelling, i.phone
from identities i
cross join lateral (
    select i.phone as spelling
    union
    select regexp_replace(i.phone, '^(55[1-9][0-9])9([6-9][0-9]{7})$', '\1\2')
    union
    select regexp_replace(i.phone, '^(55[1-9][0-9])([6-9][0-9]{7})$', '\19\2')
    union
    select regexp_replace(i.phone, '^549([1-3][0-9]{9})$', '54\1')
    union
    select regexp_replace(i.phone, '^54([1-3][0-9]{9})$', '549\1')
    union
    select regexp_replace(i.phone, '^521([2-9][0-9]{9})$', '52\1')
    union
    select regexp_replace(i.phone, '^52([2-9][0-9]{9})$', '521\1')
) s
where i.phone is not null
-- A number that has WhatsApp in exactly this form stays what it is.
order by s.spelling = i.phone desc
on conflict (instance_id, spelling) do nothing;

-- Holds of first contacts alone, and attempts that do not count. (compatible with: 0001)

alter table instance_lines
    add column first_contacts_until timestamptz,
    add column first_contacts_reason text;
comment on column instance_lines.first_contacts_until is
    'Until then WhatsApp lets the number write to known chats only.';

create index first_contact_holds on instance_lines (instance_id) where first_contacts_until is not null;

-- A withheld message is `scheduled` for the end of that hold: nodes of the release before promote it then.
alter table message_queue
    add column withheld_for text check (withheld_for in ('first_contact', 'refused_contact')),
    add column deferrals smallint not null default 0;
comment on column message_queue.withheld_for is 'Why a scheduled message waits: WhatsApp refused it, or would; null: its caller chose the time.';
comment on column message_queue.deferrals is 'How many attempts in a row did not count; the pause grows with them.';

create index message_queue_withheld on message_queue (instance_id, phone)
    where withheld_for is not null and status = 'scheduled';

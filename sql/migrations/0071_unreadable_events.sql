-- Events of a library that no version could read yet: they stay, with the reason. (compatible with: 0001)

alter table baileys.events add column error text;
create index unreadable_events on baileys.events (at) where error is not null;
comment on column baileys.events.error is 'Why the event cannot be read; null: it was not tried yet.';

alter table whatsmeow.events add column error text;
create index unreadable_events on whatsmeow.events (at) where error is not null;
comment on column whatsmeow.events.error is 'Why the event cannot be read; null: it was not tried yet.';

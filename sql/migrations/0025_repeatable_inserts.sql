-- Rows that a repeated statement must not add twice have an id that the writer made. (compatible with: 0001)

-- No default: rows of nodes of the previous version have none, and are never the same row.
alter table whatsmeow.events add column event_key uuid;
create unique index events_key on whatsmeow.events (instance_id, event_key);
comment on column whatsmeow.events.event_key is
    'Made before the row is written. A statement that is repeated because its answer was lost finds the row by it.';

alter table tags add column tag_key uuid;
create unique index tags_key on tags (instance_id, tag_key);
comment on column tags.tag_key is
    'Made before the row is written. A statement that is repeated because its answer was lost finds the row by it.';

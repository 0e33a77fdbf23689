-- Finds messages by the reference that their caller gave them. (compatible with: 0001)

-- The reference is a field of the payload, also beside sealed content. So nodes of the previous release
-- keep it when they move a message to history.
create index message_queue_track_id on message_queue (instance_id, (payload ->> 'track_id'))
    where payload ->> 'track_id' is not null;
create index messages_track_id on messages (instance_id, (payload ->> 'track_id'), recorded_at)
    where payload ->> 'track_id' is not null;

-- Indexes of lists that people read: scheduled messages, and deliveries and dead letters. (compatible with: 0001)

-- The calendar of one instance; the index on due_at alone serves all queues of a node.
create index message_queue_calendar on message_queue (instance_id, due_at, id) where status = 'scheduled';

-- The attempts of one callback, and the ones that failed among many that did not.
create index webhook_deliveries_of_callback on webhook_deliveries (callback_id);
create index webhook_deliveries_failed on webhook_deliveries (instance_id, number) where not taken;

-- The latest dead letters first.
create index webhook_dead_letters_latest on webhook_dead_letters (instance_id, died_at desc, id);

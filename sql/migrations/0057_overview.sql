-- What the overview shows of nodes and queues. (compatible with: 0001)

alter table nodes
    add column role text,
    add column version text,
    add column described_life uuid;
comment on column nodes.role is 'What the process does: all, api, sender or webhooks.';
comment on column nodes.version is 'Of the program.';
comment on column nodes.described_life is 'The process whose role and version these are: one of the release before writes neither.';

alter table instance_lines add column pause_changed_at timestamptz;
comment on column instance_lines.pause_changed_at is 'When the queue was paused or resumed last; null: before this was noted.';

create index webhook_dead_letters_open on webhook_dead_letters (instance_id, died_at)
    where status in ('pending', 'failed');

-- Which claim took a row, so that a claim whose answer was lost is found again. (compatible with: 0020)

-- No constraint and no default: nodes of the previous version neither set nor clear them.
alter table message_queue
    add column claim_id uuid,
    add column claimed_at timestamptz;
comment on column message_queue.claim_id is
    'Made by the worker before it asks. Counts only while the row is processing; a node of an older version leaves an old value behind.';
comment on column message_queue.claimed_at is
    'When that claim was made, by the database''s clock.';

-- Nodes of the previous release retry no dead letter of a further webhook. (compatible with: 0001)

-- A retry of this release sets it. One of the previous release does not, and would post the callback to
-- the webhook of its type: skip_foreign_retry_v1 refuses that.
alter table webhook_dead_letters add column retried_at timestamptz;
comment on column webhook_dead_letters.retried_at is 'When a caller last retried it.';

-- What the sandbox and the inbox keep ages out. (compatible with: 0001)

create index inbox_failed on inbox (taken_at) where error is not null;

-- Marks that are there already begin to age now.
alter table sandbox.marks add column at timestamptz not null default now();
create index marks_by_age on sandbox.marks (at);
create index sent_by_age on sandbox.sent (at);

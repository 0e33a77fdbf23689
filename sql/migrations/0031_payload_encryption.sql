-- Content of accounts that want it is encrypted by the gateway. (compatible with: 0001)

alter table accounts add column payload_encryption boolean;
comment on column accounts.payload_encryption is
    'Whether the content of its messages is encrypted; null follows GATEWAY_PAYLOAD_ENCRYPTION.';

alter table nodes add column opens_payloads boolean not null default false;
comment on column nodes.opens_payloads is
    'The program of this node opens encrypted content; a program of an earlier release does not.';

create table payload_seals (
    account_id  text primary key references accounts on delete cascade,
    target      text not null,
    key_ids     text[] not null,
    position    jsonb,
    changed     bigint not null default 0,
    unopened    bigint not null default 0,
    started_at  timestamptz not null default now(),
    pass_at     timestamptz,
    finished_at timestamptz,
    checked_at  timestamptz
);
comment on table payload_seals is
    'Accounts whose stored content is encrypted, or was: how far the stored rows follow the rule.';
comment on column payload_seals.target is
    'The key under which every row is to be; an empty text: none is to be encrypted.';
comment on column payload_seals.key_ids is 'The keys that some row may still need.';
comment on column payload_seals.position is 'Where the current pass goes on; null: at the beginning.';
comment on column payload_seals.changed is 'Rows that the current pass changed.';
comment on column payload_seals.unopened is 'Rows of the current pass that no key opened.';
comment on column payload_seals.started_at is 'When the target was set.';
comment on column payload_seals.pass_at is 'When the current pass began.';
comment on column payload_seals.finished_at is 'Since when every row follows the rule; null: not yet.';
comment on column payload_seals.checked_at is 'When a whole pass last found nothing to change.';

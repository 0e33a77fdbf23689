-- Tickets with which a WebSocket begins, instead of a token in its address. (compatible with: 0001)

create table event_tickets (
    ticket_hash bytea primary key,
    account_id text not null references accounts (id) on delete cascade,
    token_hash bytea not null,
    expires_at timestamptz not null
);
create index event_tickets_by_age on event_tickets (expires_at);
comment on column event_tickets.token_hash is 'Of the token that asked for the ticket: it must still be right when the ticket is used, and afterwards.';

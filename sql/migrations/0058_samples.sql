-- How deep queues were, how late callbacks came, and since when a phone is down. (compatible with: 0001)

alter table traffic
    add column waiting_max int not null default 0,
    add column callbacks_timed int not null default 0,
    add column callback_lag_ms bigint not null default 0,
    add column callback_lag_max_ms bigint not null default 0;
comment on column traffic.waiting_max is 'The most messages that waited at one of the samples of the period; of an account, of all its queues at once.';
comment on column traffic.callbacks_timed is 'How many of `callbacks_delivered` have a lag: a node of the release before counts none.';
comment on column traffic.callback_lag_ms is 'Milliseconds from the event to the answer of the receiver; the sum over `callbacks_timed`.';
comment on column traffic.callback_lag_max_ms is 'The longest lag of the period.';

alter table instance_connections add column down_since timestamptz;
comment on column instance_connections.down_since is 'Since when the session is not connected, whatever state it had meanwhile; null: it is connected, or its state has not changed since this is noted.';

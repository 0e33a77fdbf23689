-- Callbacks that an instance may ask for: no receipt, refused connection. (compatible with: 0001)

alter table connection_settings
    add column receipt_missing_minutes int not null default 0,
    add column receipts_seen_until timestamptz,
    add column notify_refused boolean not null default false,
    add constraint receipts_are_seen_since_a_time
        check (receipt_missing_minutes = 0 or receipts_seen_until is not null);
create index receipt_missing_rules on connection_settings (instance_id) where receipt_missing_minutes > 0;
comment on column connection_settings.receipt_missing_minutes is
    'After so many a message without a receipt has a callback; 0: never.';
comment on column connection_settings.receipts_seen_until is
    'Messages that were accepted up to here have their receipt, or their callback.';

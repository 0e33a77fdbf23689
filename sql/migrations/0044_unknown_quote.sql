-- How an instance answers a message that the gateway does not know. (compatible with: 0001)

-- Not a column of `instances`: nodes of the previous version read all of its columns.
alter table instance_lines
    add column unknown_quote text,
    add constraint known_unknown_quote check (unknown_quote in ('omit', 'quote'));
comment on column instance_lines.unknown_quote is 'Null: the service''s own setting.';

-- What became of a message in the world of the sandbox provider. (compatible with: 0001)

-- Edits, deletions, reactions, votes, pins: of messages sent and received. None for most.
create table sandbox.marks (
    instance_id text not null,
    message_id  text not null,
    marks       jsonb not null,
    primary key (instance_id, message_id)
);

-- An object is merged into the one before, anything else replaces it, null takes it away.
create function sandbox.merged(marks jsonb, news jsonb) returns jsonb language sql immutable as $$
    select jsonb_strip_nulls(marks || coalesce(
        jsonb_object_agg(
            n.key,
            case jsonb_typeof(n.value)
                when 'object' then coalesce(marks -> n.key, '{}') || n.value
                else n.value
            end
        ),
        '{}'
    ))
    from jsonb_each(news) n
$$;

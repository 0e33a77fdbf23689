-- Merges changes into the marks of a simulated message: an object is merged into the object before
-- it, any other value replaces the value before it, and null removes the key.
-- Alias: n key and value of a change.
create or replace function sandbox.merge_marks_v1(marks jsonb, changes jsonb) returns jsonb language sql immutable as $$
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
    from jsonb_each(changes) n
$$;

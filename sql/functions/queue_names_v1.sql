-- Returns every name under which a message of the chat may be in the queue: the spellings of the number
-- and the lids. queue_chat_v1 gives all of them the same name.
-- In plpgsql, which keeps the plan: a claim calls it for each queue.
-- Aliases: c chat by its one name, i identity, n name, s spelling.
create or replace function queue_names_v1(of_instance text, named text) returns text[]
language plpgsql stable parallel safe as $$
begin
    return (
        with spelling as materialized (
            -- The name itself, and the spellings of the number.
            select named as name
            union
            select s.name
            from (select queue_chat_v1(of_instance, named) as name) c
            cross join lateral (
                values (c.name),
                    (regexp_replace(c.name, '^(55[1-9][0-9])([6-9][0-9]{7})$', '\19\2')),
                    (regexp_replace(c.name, '^54([1-3][0-9]{9})$', '549\1')),
                    (regexp_replace(c.name, '^52([2-9][0-9]{9})$', '521\1'))
            ) s (name)
        )
        select array_agg(n.name)
        from (
            select s.name from spelling s
            union
            select i.lid from identities i
            where i.instance_id = of_instance and i.phone in (select s.name from spelling s)
        ) n
    );
end
$$;

-- Records events for every subscriber and appends their callbacks, in the caller's transaction.
-- Returns how many callbacks will be delivered. It leaves out an event that has neither a webhook nor
-- a subscription. The five arrays have the same length; an event is one position in all of them.
-- In plpgsql, which keeps the plans of its statements: those of a function in SQL are planned at each
-- call, which takes longer than to run them.
-- Aliases: c event, f further webhook, i instance, r subscription of an account.
create or replace function enqueue_callbacks_v2(
    instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]
) returns bigint language plpgsql as $$
#variable_conflict use_column
begin
    insert into webhook_events (account_id, instance_id, chat, id, type, body)
    select i.account_id, c.instance_id, c.chat, c.id, c.type, c.body
    from unnest(instance_ids, chats, types, ids, bodies) with ordinality
        as c (instance_id, chat, type, id, body, turn)
    join instances i on i.id = c.instance_id
    where callback_url_v2(i, c.type) is not null or exists (
        select 1 from webhooks f
        where f.instance_id = c.instance_id and f.enabled
            and (f.types is null or c.type = any(f.types))
    ) or exists (
        select 1 from event_roads r where r.account_id = i.account_id and r.wanted_until > now()
    )
    order by c.turn;

    return append_callbacks_v2(instance_ids, chats, types, ids, bodies, null);
end
$$;

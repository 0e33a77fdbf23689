-- Returns the address to which an instance wants callbacks of a type, or null if it wants none. A node
-- of the release before knows neither of the types in callback_settings, and drops their callbacks.
-- In plpgsql: Postgres before 18 plans a function in SQL with a subquery at each use of a statement, and it
-- is used several times for every message.
-- Aliases: i instance, s callback settings.
create or replace function callback_url_v2(i instances, type text) returns text language plpgsql stable as $$
begin
    case type
        when 'ConnectedCallback' then return i.connected_callback_url;
        when 'DeliveryCallback' then return i.delivery_callback_url;
        when 'DisconnectedCallback' then return i.disconnected_callback_url;
        when 'MessageStatusCallback' then return i.message_status_callback_url;
        when 'PresenceChatCallback' then return i.presence_chat_callback_url;
        when 'ReceivedCallback' then return i.received_callback_url;
        when 'HistorySyncCallback' then return (
            select s.history_sync_url from callback_settings s where s.instance_id = i.id
        );
        when 'ProxyFailureCallback' then return (
            select s.proxy_url from callback_settings s where s.instance_id = i.id
        );
        else return null;
    end case;
end
$$;

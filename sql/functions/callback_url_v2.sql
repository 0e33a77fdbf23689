-- Returns the address to which an instance wants callbacks of a type, or null if it wants none. A node
-- of the release before knows neither of the types in callback_settings, and drops their callbacks.
-- Aliases: i instance, s callback settings.
create or replace function callback_url_v2(i instances, type text) returns text language sql stable as $$
    select case type
        when 'ConnectedCallback' then i.connected_callback_url
        when 'DeliveryCallback' then i.delivery_callback_url
        when 'DisconnectedCallback' then i.disconnected_callback_url
        when 'MessageStatusCallback' then i.message_status_callback_url
        when 'PresenceChatCallback' then i.presence_chat_callback_url
        when 'ReceivedCallback' then i.received_callback_url
        when 'HistorySyncCallback' then (
            select s.history_sync_url from callback_settings s where s.instance_id = i.id
        )
        when 'ProxyFailureCallback' then (
            select s.proxy_url from callback_settings s where s.instance_id = i.id
        )
    end
$$;

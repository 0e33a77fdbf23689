-- Returns the address to which an instance wants callbacks of a type, or null if it wants none.
-- Alias: i instance.
create or replace function callback_url_v1(i instances, type text) returns text language sql immutable as $$
    select case type
        when 'ConnectedCallback' then i.connected_callback_url
        when 'DeliveryCallback' then i.delivery_callback_url
        when 'DisconnectedCallback' then i.disconnected_callback_url
        when 'MessageStatusCallback' then i.message_status_callback_url
        when 'PresenceChatCallback' then i.presence_chat_callback_url
        when 'ReceivedCallback' then i.received_callback_url
    end
$$;

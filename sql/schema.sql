-- Made by `make schema` from sql/migrations; not read by the program.

CREATE SCHEMA sandbox;

CREATE FUNCTION public.announce_account_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('account_changed', coalesce(new.id, old.id));

return null;

end
$$;

CREATE FUNCTION public.announce_instance_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('instance_changed', coalesce(new.id, old.id));

return null;

end
$$;

CREATE TABLE public.instances (
    id text NOT NULL,
    account_id text NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    token_ciphertext bytea NOT NULL,
    token_key_id text NOT NULL,
    provider text NOT NULL,
    provider_settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    session_name text,
    is_device boolean DEFAULT false NOT NULL,
    business_device boolean DEFAULT false NOT NULL,
    demo boolean DEFAULT false NOT NULL,
    wanted boolean DEFAULT true NOT NULL,
    pace_min_seconds double precision,
    pace_max_seconds double precision,
    received_callback_url text,
    delivery_callback_url text,
    message_status_callback_url text,
    connected_callback_url text,
    disconnected_callback_url text,
    presence_chat_callback_url text,
    notify_sent_by_me boolean DEFAULT false NOT NULL,
    call_reject_auto boolean DEFAULT false NOT NULL,
    call_reject_message text,
    auto_read_message boolean DEFAULT false NOT NULL,
    auto_read_status boolean DEFAULT false NOT NULL,
    disable_enqueue_when_disconnected boolean DEFAULT false NOT NULL,
    trial_ends_at timestamp with time zone,
    subscribed boolean DEFAULT false NOT NULL,
    with_calls boolean DEFAULT false NOT NULL,
    canceled_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT pace_is_a_range CHECK ((((pace_min_seconds IS NULL) = (pace_max_seconds IS NULL)) AND ((pace_min_seconds IS NULL) OR (((0)::double precision <= pace_min_seconds) AND (pace_min_seconds <= pace_max_seconds)))))
);

COMMENT ON COLUMN public.instances.trial_ends_at IS 'Who is not subscribed sends until then; a cancelled subscription sets it anew.';

CREATE FUNCTION public.callback_url(i public.instances, type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case type
        when 'ConnectedCallback' then i.connected_callback_url
        when 'DeliveryCallback' then i.delivery_callback_url
        when 'DisconnectedCallback' then i.disconnected_callback_url
        when 'MessageStatusCallback' then i.message_status_callback_url
        when 'PresenceChatCallback' then i.presence_chat_callback_url
        when 'ReceivedCallback' then i.received_callback_url
    end
$$;

CREATE FUNCTION public.make_instance_line() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into instance_lines (instance_id) values (new.id);

return null;

end
$$;

CREATE TABLE public.message_queue (
    instance_id text NOT NULL,
    id bigint NOT NULL,
    sequence_number bigint NOT NULL,
    "position" bigint NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    attempt_started_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_epoch bigint,
    version smallint NOT NULL,
    priority smallint NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    max_attempts smallint NOT NULL,
    status text NOT NULL,
    zaap_id text NOT NULL,
    message_id text NOT NULL,
    type text NOT NULL,
    phone text NOT NULL,
    payload jsonb NOT NULL,
    last_error text,
    CONSTRAINT failures_are_explained CHECK (((status <> 'failed'::text) OR (last_error IS NOT NULL))),
    CONSTRAINT known_priority CHECK (((priority >= 0) AND (priority <= 2))),
    CONSTRAINT known_status CHECK ((status = ANY (ARRAY['failed'::text, 'pending'::text, 'processing'::text, 'scheduled'::text]))),
    CONSTRAINT only_processing_starts CHECK (((attempt_started_at IS NULL) OR (status = 'processing'::text))),
    CONSTRAINT processing_is_claimed CHECK (((status = 'processing'::text) = (claimed_epoch IS NOT NULL)))
)
WITH (fillfactor='80');

CREATE FUNCTION public.shown_status(q public.message_queue) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case
        when q.attempt_started_at is not null then 'processing'
        when q.status in ('failed', 'scheduled') then q.status
        when q.attempts > 0 then 'retrying'
        else 'pending'
    end
$$;

CREATE FUNCTION public.tell(instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]) RETURNS bigint
    LANGUAGE sql
    AS $$
    with wanted as (
        select c.*, row_number() over (partition by c.instance_id, c.chat order by c.turn) as nth
        from unnest(instance_ids, chats, types, ids, bodies) with ordinality
            as c (instance_id, chat, type, id, body, turn)
        join instances i on i.id = c.instance_id
        where callback_url(i, c.type) is not null
    ), line as (
        insert into webhook_lines as w (instance_id, chat, pending, next_position, due_at)
        select instance_id, chat, count(*), 1 + count(*), now()
        from wanted
        group by instance_id, chat
        order by instance_id, chat
        on conflict (instance_id, chat) do update
        set pending = w.pending + excluded.pending,
            next_position = w.next_position + excluded.pending,
            due_at = coalesce(w.due_at, now())
        returning w.instance_id, w.chat, w.next_position
    ), added as (
        insert into webhook_outbox (instance_id, chat, position, id, type, body)
        select c.instance_id, c.chat,
               l.next_position - 1
                   - (select count(*) from wanted o where o.instance_id = c.instance_id and o.chat = c.chat)
                   + c.nth,
               c.id, c.type, c.body
        from wanted c
        join line l on l.instance_id = c.instance_id and l.chat = c.chat
        returning 1
    )
    select count(*) from added
$$;

CREATE TABLE public.accounts (
    id text NOT NULL,
    name text NOT NULL,
    client_token_hash bytea,
    client_token_required boolean DEFAULT false NOT NULL,
    partner_token_hash bytea,
    allowed_addresses cidr[] DEFAULT '{}'::cidr[] NOT NULL,
    webhook_secret_ciphertext bytea,
    webhook_secret_key_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT required_token_exists CHECK (((NOT client_token_required) OR (client_token_hash IS NOT NULL)))
);

CREATE TABLE public.chores (
    name text NOT NULL,
    node_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.idempotency_keys (
    instance_id text NOT NULL,
    key text NOT NULL,
    body_hash bytea NOT NULL,
    zaap_id text NOT NULL,
    message_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.identities (
    instance_id text NOT NULL,
    lid text NOT NULL,
    phone text,
    name text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.instance_connections (
    instance_id text NOT NULL,
    state text NOT NULL,
    phone text,
    reason text,
    changed_at timestamp with time zone NOT NULL
);

CREATE TABLE public.instance_leases (
    instance_id text NOT NULL,
    node_id text NOT NULL,
    epoch bigint NOT NULL,
    taken_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.instance_lines (
    instance_id text NOT NULL,
    next_sequence bigint DEFAULT 1 NOT NULL,
    reordered bigint DEFAULT 0 NOT NULL,
    connected boolean DEFAULT false NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    idle boolean DEFAULT false NOT NULL,
    hold_until timestamp with time zone,
    hold_reason text
)
WITH (fillfactor='50');

COMMENT ON COLUMN public.instance_lines.reordered IS 'Counts the times a waiting row appeared before rows already claimed; a claimer that remembers an older value starts from the front again.';

CREATE TABLE public.instance_removals (
    instance_id text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.media (
    instance_id text NOT NULL,
    id text NOT NULL,
    sha256 bytea NOT NULL,
    mime_type text NOT NULL,
    file_name text,
    size_bytes bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.message_attempts (
    instance_id text NOT NULL,
    message_id text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    error text,
    duration_seconds double precision GENERATED ALWAYS AS ((EXTRACT(epoch FROM (ended_at - started_at)))::double precision) STORED
);

CREATE TABLE public.message_ids (
    instance_id text NOT NULL,
    message_id text NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    provider_message_id text
);

ALTER TABLE public.message_queue ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.message_queue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.messages (
    instance_id text NOT NULL,
    message_id text NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone NOT NULL,
    attempt_started_at timestamp with time zone,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    played_at timestamp with time zone,
    sequence_number bigint,
    version smallint NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    from_me boolean NOT NULL,
    status text NOT NULL,
    zaap_id text,
    provider_message_id text,
    phone text NOT NULL,
    sender text,
    type text NOT NULL,
    payload jsonb NOT NULL,
    provider_data bytea,
    CONSTRAINT known_status CHECK ((status = ANY (ARRAY['canceled'::text, 'failed'::text, 'received'::text, 'sent'::text])))
)
PARTITION BY RANGE (recorded_at);

CREATE TABLE public.messages_default (
    instance_id text CONSTRAINT messages_instance_id_not_null NOT NULL,
    message_id text CONSTRAINT messages_message_id_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() CONSTRAINT messages_recorded_at_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT messages_created_at_not_null NOT NULL,
    attempt_started_at timestamp with time zone,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    played_at timestamp with time zone,
    sequence_number bigint,
    version smallint CONSTRAINT messages_version_not_null NOT NULL,
    attempts smallint DEFAULT 0 CONSTRAINT messages_attempts_not_null NOT NULL,
    from_me boolean CONSTRAINT messages_from_me_not_null NOT NULL,
    status text CONSTRAINT messages_status_not_null NOT NULL,
    zaap_id text,
    provider_message_id text,
    phone text CONSTRAINT messages_phone_not_null NOT NULL,
    sender text,
    type text CONSTRAINT messages_type_not_null NOT NULL,
    payload jsonb CONSTRAINT messages_payload_not_null NOT NULL,
    provider_data bytea,
    CONSTRAINT known_status CHECK ((status = ANY (ARRAY['canceled'::text, 'failed'::text, 'received'::text, 'sent'::text])))
);

CREATE TABLE public.nodes (
    id text NOT NULL,
    internal_address text,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.schema_migrations (
    number integer NOT NULL,
    name text NOT NULL,
    compatible_with integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.webhook_dead_letters (
    instance_id text NOT NULL,
    id uuid NOT NULL,
    chat text NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    attempts smallint NOT NULL,
    last_error text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    died_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.webhook_lines (
    instance_id text NOT NULL,
    chat text NOT NULL,
    pending integer NOT NULL,
    next_position bigint NOT NULL,
    due_at timestamp with time zone,
    claim_id uuid,
    claimed_by text,
    attempts smallint DEFAULT 0 NOT NULL,
    last_error text,
    CONSTRAINT due_when_pending CHECK (((due_at IS NULL) = (pending = 0)))
)
WITH (fillfactor='70');

CREATE TABLE public.webhook_outbox (
    instance_id text NOT NULL,
    chat text NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE sandbox.events (
    instance_id text NOT NULL,
    id bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    body jsonb NOT NULL
);

ALTER TABLE sandbox.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sandbox.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE sandbox.phones (
    instance_id text NOT NULL,
    phone text NOT NULL,
    state text NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    holder text,
    secret text NOT NULL,
    faults jsonb DEFAULT '[]'::jsonb NOT NULL,
    typing_to text,
    typing_until timestamp with time zone,
    CONSTRAINT phones_state_check CHECK ((state = ANY (ARRAY['connected'::text, 'disconnected'::text, 'unpaired'::text, 'logged_out'::text])))
);

CREATE TABLE sandbox.sent (
    instance_id text NOT NULL,
    number bigint NOT NULL,
    message_id text NOT NULL,
    seen integer DEFAULT 1 NOT NULL,
    type text NOT NULL,
    phone text NOT NULL,
    payload jsonb NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE sandbox.sent ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sandbox.sent_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_default DEFAULT;

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_client_token_hash_key UNIQUE (client_token_hash);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_partner_token_hash_key UNIQUE (partner_token_hash);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.chores
    ADD CONSTRAINT chores_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (instance_id, key);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (instance_id, lid);

ALTER TABLE ONLY public.instance_connections
    ADD CONSTRAINT instance_connections_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instance_leases
    ADD CONSTRAINT instance_leases_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instance_lines
    ADD CONSTRAINT instance_lines_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instance_removals
    ADD CONSTRAINT instance_removals_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.media
    ADD CONSTRAINT media_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY public.message_attempts
    ADD CONSTRAINT message_attempts_pkey PRIMARY KEY (instance_id, message_id, started_at);

ALTER TABLE ONLY public.message_ids
    ADD CONSTRAINT message_ids_pkey PRIMARY KEY (instance_id, message_id);

ALTER TABLE ONLY public.message_queue
    ADD CONSTRAINT message_queue_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (instance_id, message_id, recorded_at);

ALTER TABLE ONLY public.messages_default
    ADD CONSTRAINT messages_default_pkey PRIMARY KEY (instance_id, message_id, recorded_at);

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.webhook_dead_letters
    ADD CONSTRAINT webhook_dead_letters_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY public.webhook_lines
    ADD CONSTRAINT webhook_lines_pkey PRIMARY KEY (instance_id, chat);

ALTER TABLE ONLY public.webhook_outbox
    ADD CONSTRAINT webhook_outbox_pkey PRIMARY KEY (instance_id, chat, "position");

ALTER TABLE ONLY sandbox.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY sandbox.phones
    ADD CONSTRAINT phones_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY sandbox.sent
    ADD CONSTRAINT sent_pkey PRIMARY KEY (instance_id, message_id);

CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at);

CREATE UNIQUE INDEX identities_by_phone ON public.identities USING btree (instance_id, phone) WHERE (phone IS NOT NULL);

CREATE INDEX instance_leases_of_node ON public.instance_leases USING btree (node_id);

CREATE INDEX instances_of_account ON public.instances USING btree (account_id, created_at, id);

CREATE INDEX media_by_age ON public.media USING btree (expires_at);

CREATE INDEX media_by_content ON public.media USING btree (instance_id, sha256);

CREATE UNIQUE INDEX message_ids_of_provider ON public.message_ids USING btree (instance_id, provider_message_id) WHERE (provider_message_id IS NOT NULL);

CREATE INDEX message_queue_failed ON public.message_queue USING btree (instance_id, updated_at) WHERE (status = 'failed'::text);

CREATE INDEX message_queue_head ON public.message_queue USING btree (instance_id, priority, "position") WHERE (status = 'pending'::text);

CREATE INDEX message_queue_line ON public.message_queue USING btree (instance_id, sequence_number) WHERE (status <> 'failed'::text);

CREATE UNIQUE INDEX message_queue_message ON public.message_queue USING btree (instance_id, message_id);

CREATE UNIQUE INDEX message_queue_on_its_way ON public.message_queue USING btree (instance_id) WHERE (status = 'processing'::text);

CREATE INDEX message_queue_scheduled ON public.message_queue USING btree (due_at) WHERE (status = 'scheduled'::text);

CREATE INDEX messages_of_chat ON ONLY public.messages USING btree (instance_id, phone, recorded_at);

CREATE INDEX messages_default_instance_id_phone_recorded_at_idx ON public.messages_default USING btree (instance_id, phone, recorded_at);

CREATE INDEX webhook_lines_claimed ON public.webhook_lines USING btree (claimed_by) WHERE (claimed_by IS NOT NULL);

CREATE INDEX webhook_lines_due ON public.webhook_lines USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX webhook_lines_empty ON public.webhook_lines USING btree (instance_id, chat) WHERE (due_at IS NULL);

CREATE INDEX events_due ON sandbox.events USING btree (due_at);

CREATE INDEX phones_held ON sandbox.phones USING btree (holder);

CREATE INDEX sent_in_order ON sandbox.sent USING btree (instance_id, number);

ALTER INDEX public.messages_of_chat ATTACH PARTITION public.messages_default_instance_id_phone_recorded_at_idx;

ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_default_pkey;

CREATE TRIGGER account_changed AFTER DELETE OR UPDATE ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.announce_account_change();

CREATE TRIGGER instance_changed AFTER INSERT OR DELETE OR UPDATE ON public.instances FOR EACH ROW EXECUTE FUNCTION public.announce_instance_change();

CREATE TRIGGER instance_has_a_line AFTER INSERT ON public.instances FOR EACH ROW EXECUTE FUNCTION public.make_instance_line();

ALTER TABLE ONLY public.instance_connections
    ADD CONSTRAINT instance_connections_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instance_leases
    ADD CONSTRAINT instance_leases_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instance_lines
    ADD CONSTRAINT instance_lines_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);


-- name: find_instance
select i.*, a.client_token_hash, a.client_token_required, a.allowed_addresses::text[] as allowed_addresses
from instances i
join accounts a on a.id = i.account_id
where i.id = %(id)s::text;

-- name: find_demo
select id from instances where demo limit 1;

-- name: add_account
insert into accounts (id, name, client_token_hash, client_token_required, partner_token_hash)
values (
    %(id)s::text, %(name)s::text, %(client_token_hash)s::bytea, %(client_token_required)s::boolean,
    %(partner_token_hash)s::bytea
);

-- name: add_instance
insert into instances (
    id, account_id, name, token_hash, token_ciphertext, token_key_id, provider, provider_settings, demo
)
values (
    %(id)s::text, %(account_id)s::text, %(name)s::text, %(token_hash)s::bytea,
    %(token_ciphertext)s::bytea, %(token_key_id)s::text, %(provider)s::text,
    %(provider_settings)s::jsonb, %(demo)s::boolean
);

-- name: renew_tokens
update accounts
set client_token_hash = %(client_token_hash)s::bytea, partner_token_hash = %(partner_token_hash)s::bytea
where id = %(account_id)s::text;

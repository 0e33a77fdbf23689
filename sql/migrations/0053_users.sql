-- Users who sign in, their sessions, links that sign in once, and delays after failures. (compatible with: 0001)

create table users (
    id              text primary key,
    account_id      text references accounts (id) on delete cascade,
    email           text not null,
    name            text not null,
    role            text not null check (role in ('operator', 'owner', 'agent', 'viewer')),
    password_hash   text,
    totp_ciphertext bytea,
    totp_key_id     text,
    totp_step       bigint not null default 0,
    language        text not null default 'pt-BR' check (language in ('pt-BR', 'en', 'es')),
    disabled_at     timestamptz,
    created_at      timestamptz not null default now(),
    check ((role = 'operator') = (account_id is null)),
    check ((totp_ciphertext is null) = (totp_key_id is null))
);
create unique index users_by_email on users (lower(email));
create index users_by_account on users (account_id);
comment on column users.account_id is 'Null for operators, who see all accounts.';
comment on column users.email is 'With which the user signs in; unique in any capitals.';
comment on column users.password_hash is 'argon2id; null where only a sign-in link opens a session.';
comment on column users.totp_ciphertext is 'The secret of the second factor, encrypted as tokens are.';
comment on column users.totp_step is 'The time step of the latest code: no code is taken twice.';

create table user_sessions (
    token_hash   bytea primary key,
    user_id      text not null references users (id) on delete cascade,
    address      text,
    created_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    expires_at   timestamptz not null
);
create index user_sessions_by_user on user_sessions (user_id);
create index user_sessions_by_age on user_sessions (expires_at);
comment on column user_sessions.expires_at is 'The last end; a session that is not used ends earlier.';

create table sign_in_links (
    token_hash bytea primary key,
    user_id    text not null references users (id) on delete cascade,
    expires_at timestamptz not null
);
create index sign_in_links_by_age on sign_in_links (expires_at);
comment on table sign_in_links is 'Links that open one session, from this machine alone.';

create table sign_in_attempts (
    login_hash   bytea not null,
    address      text not null,
    failures     int not null default 0,
    retry_at     timestamptz not null default now(),
    attempted_at timestamptz not null default now(),
    succeeded_at timestamptz,
    primary key (login_hash, address)
);
create index sign_in_attempts_by_age on sign_in_attempts (attempted_at);
comment on table sign_in_attempts is
    'Failures of a login from an address: only this pair waits, so that guesses lock no user out.';
comment on column sign_in_attempts.login_hash is 'SHA-256 of what was typed as login, whether or not a user has it.';
comment on column sign_in_attempts.succeeded_at is
    'The latest sign-in: such a pair has a budget of its own, which guesses cannot use up.';

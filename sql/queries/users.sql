-- Aliases: a account, s session, t attempts of a login from an address, u user.

-- name: add_user
-- A repeated run finds its own row; another user with this address in any capitals is a conflict.
insert into users (id, account_id, email, name, role, password_hash, language)
values (
    %(id)s::text, %(account_id)s::text, %(email)s::text, %(name)s::text, %(role)s::text,
    %(password_hash)s::text, %(language)s::text
)
on conflict (id) do nothing;

-- name: find_user_by_email
select u.id, u.account_id, u.email, u.name, u.role, u.password_hash, u.totp_ciphertext,
       u.totp_key_id, u.language, u.disabled_at, u.created_at
from users u where lower(u.email) = lower(%(email)s::text);

-- name: find_user
select u.id, u.account_id, u.email, u.name, u.role, u.password_hash, u.totp_ciphertext,
       u.totp_key_id, u.language, u.disabled_at, u.created_at
from users u where u.id = %(id)s::text;

-- name: find_operator
-- The first operator who is not disabled.
select u.id, u.account_id, u.email, u.name, u.role, u.password_hash, u.totp_ciphertext,
       u.totp_key_id, u.language, u.disabled_at, u.created_at
from users u where u.role = 'operator' and u.disabled_at is null
order by u.created_at, u.id
limit 1;

-- name: list_users
select u.id, u.email, u.name, u.role, u.language, u.disabled_at, u.created_at, a.name as account_name,
       u.password_hash is not null as has_password, u.totp_ciphertext is not null as has_totp,
       (select max(s.last_seen_at) from user_sessions s where s.user_id = u.id) as last_seen_at
from users u
left join accounts a on a.id = u.account_id
order by u.created_at, u.id;

-- name: search_users
-- A page of the users of one account, or of all, with this text in e-mail, name or account.
select u.id, u.email, u.name, u.role, u.language, u.disabled_at, u.created_at, a.name as account_name,
       u.password_hash is not null as has_password, u.totp_ciphertext is not null as has_totp,
       (select max(s.last_seen_at) from user_sessions s where s.user_id = u.id) as last_seen_at
from users u
left join accounts a on a.id = u.account_id
where (%(account_id)s::text is null or u.account_id = %(account_id)s::text)
    and (
        strpos(lower(u.email), lower(%(text)s::text)) > 0
        or strpos(lower(u.name), lower(%(text)s::text)) > 0
        or strpos(lower(a.name), lower(%(text)s::text)) > 0
    )
order by lower(u.email)
limit %(limit)s::int offset %(offset)s::bigint;

-- name: count_users
select count(*) as count
from users u
left join accounts a on a.id = u.account_id
where (%(account_id)s::text is null or u.account_id = %(account_id)s::text)
    and (
        strpos(lower(u.email), lower(%(text)s::text)) > 0
        or strpos(lower(u.name), lower(%(text)s::text)) > 0
        or strpos(lower(a.name), lower(%(text)s::text)) > 0
    );

-- name: set_disabled
-- The sessions of a disabled user end; without `disabled` the user may sign in again.
with ended as (
    -- Deletes the sessions.
    delete from user_sessions where user_id = %(id)s::text and %(disabled)s::boolean
), links as (
    -- Deletes what could open another one.
    delete from sign_in_links where user_id = %(id)s::text and %(disabled)s::boolean
)
update users
set disabled_at = case when %(disabled)s::boolean then coalesce(disabled_at, now()) end
where id = %(id)s::text;

-- name: set_role
-- An operator has no account, so that no user becomes one or ceases to be one here.
update users set role = %(role)s::text where id = %(id)s::text and account_id is not null;

-- name: set_password
-- Every session of the user ends: it may be of who knew the earlier password.
with ended as (
    -- Deletes the sessions.
    delete from user_sessions where user_id = %(id)s::text
), links as (
    -- Deletes what could open another one.
    delete from sign_in_links where user_id = %(id)s::text
)
update users set password_hash = %(password_hash)s::text where id = %(id)s::text;

-- name: replace_password_hash
-- The same password with other costs; a password that was changed meanwhile stays.
update users set password_hash = %(password_hash)s::text
where id = %(id)s::text and password_hash = %(previous)s::text;

-- name: set_totp
-- Null removes the second factor.
update users
set totp_ciphertext = %(ciphertext)s::bytea, totp_key_id = %(key_id)s::text, totp_step = 0
where id = %(id)s::text;

-- name: take_totp_step
-- A code is good once: of two requests with the same code, one changes the row.
update users set totp_step = %(step)s::bigint where id = %(id)s::text and totp_step < %(step)s::bigint;

-- name: start_session
-- Ended sessions go with each new one. A user who was disabled meanwhile gets none.
with old as (
    -- Deletes a few that have ended.
    delete from user_sessions where token_hash = any(array(
        select token_hash from user_sessions where expires_at < now() limit 100
    ))
)
insert into user_sessions (token_hash, user_id, address, expires_at)
select %(token_hash)s::bytea, u.id, %(address)s::text,
       now() + make_interval(secs => %(max_seconds)s::double precision)
from users u where u.id = %(user_id)s::text and u.disabled_at is null;

-- name: find_session
select u.id as user_id, u.account_id, u.email, u.name, u.role, u.language, s.token_hash,
       s.last_seen_at < now() - make_interval(secs => %(seen_seconds)s::double precision) as is_due
from user_sessions s
join users u on u.id = s.user_id
where s.token_hash = %(token_hash)s::bytea
    and s.expires_at > now()
    and s.last_seen_at > now() - make_interval(secs => %(idle_seconds)s::double precision)
    and u.disabled_at is null;

-- name: note_session_seen
update user_sessions set last_seen_at = now() where token_hash = %(token_hash)s::bytea;

-- name: end_session
delete from user_sessions where token_hash = %(token_hash)s::bytea;

-- name: end_sessions
delete from user_sessions where user_id = %(user_id)s::text;

-- name: issue_sign_in_link
with old as (
    -- Deletes links that were not used in time.
    delete from sign_in_links where expires_at < now()
)
insert into sign_in_links (token_hash, user_id, expires_at)
values (
    %(token_hash)s::bytea, %(user_id)s::text,
    now() + make_interval(secs => %(seconds)s::double precision)
);

-- name: redeem_sign_in_link
-- A link is good for one session.
with used as (
    -- Deletes the link.
    delete from sign_in_links where token_hash = %(token_hash)s::bytea
    returning user_id, expires_at
)
select user_id from used where expires_at > now();

-- name: find_sign_in_link
-- Leaves the link as it is.
select user_id from sign_in_links where token_hash = %(token_hash)s::bytea and expires_at > now();

-- name: find_sign_in_pair
-- Whether this login signed in from this address before, and how long it must wait.
select coalesce(t.succeeded_at > now() - make_interval(days => %(known_days)s::int), false) as is_known,
       greatest(0, extract(epoch from t.retry_at - now()))::double precision as wait_seconds
from sign_in_attempts t
where t.login_hash = %(login_hash)s::bytea and t.address = %(address)s::text;

-- name: begin_sign_in
-- Counts a failure before the password is checked, so that attempts at once do not pass together;
-- a success takes it back. After `free` failures the pause doubles with each further one. Returns
-- nothing while the pair must wait. After a day without attempts the count starts at one.
with old as (
    -- Deletes a few expired pairs; not this one, which the same statement writes.
    delete from sign_in_attempts t
    where (t.login_hash, t.address) = any(
        select login_hash, address from sign_in_attempts
        where attempted_at < now() - interval '1 day'
            and (succeeded_at is null or succeeded_at < now() - make_interval(days => %(known_days)s::int))
            and (login_hash, address) <> (%(login_hash)s::bytea, %(address)s::text)
        order by attempted_at limit 100
    )
)
insert into sign_in_attempts as t (login_hash, address, failures)
values (%(login_hash)s::bytea, %(address)s::text, 1)
on conflict (login_hash, address) do update
set attempted_at = now(),
    failures = case when t.attempted_at < now() - interval '1 day' then 1 else least(t.failures, 99) + 1 end,
    retry_at = now() + case
        when t.attempted_at < now() - interval '1 day' or t.failures < %(free)s::int then interval '0'
        else make_interval(secs => least(
            %(max_seconds)s::double precision, power(2, least(t.failures - %(free)s::int, 30))
        ))
    end
where t.retry_at <= now()
returning t.failures;

-- name: note_sign_in
update sign_in_attempts set failures = 0, retry_at = now(), succeeded_at = now()
where login_hash = %(login_hash)s::bytea and address = %(address)s::text;

-- name: set_profile
update users set name = %(name)s::text, language = %(language)s::text where id = %(id)s::text;

-- name: list_sessions
-- The open sessions of a user, the one that was used last first.
select s.token_hash, s.address, s.created_at, s.last_seen_at
from user_sessions s
where s.user_id = %(user_id)s::text
    and s.expires_at > now()
    and s.last_seen_at > now() - make_interval(secs => %(idle_seconds)s::double precision)
order by s.last_seen_at desc, s.created_at desc
limit 100;

-- name: end_session_of
-- Ends a session only if it is one of this user.
delete from user_sessions where user_id = %(user_id)s::text and token_hash = %(token_hash)s::bytea;

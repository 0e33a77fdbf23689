-- What runs before each statement of an engine library, in its transaction.

-- name: enter
-- Finds the library's tables, whichever connection the transaction runs on.
select set_config('search_path', %(schema)s::text, true);

-- name: enter_as_owner
-- The same for a statement that may change something: refused once the lease has another epoch. The
-- lease is locked until the end of the transaction, so that none may stay idle for long.
select assert_lease_v1(%(instance_id)s::text, %(epoch)s::bigint),
       set_config('search_path', %(schema)s::text, true),
       set_config('idle_in_transaction_session_timeout', %(idle_milliseconds)s::text, true);

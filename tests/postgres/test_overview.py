"""What an account and an operator see at a glance, read from a real Postgres."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from psycopg import AsyncConnection

from gateway.administration import account_overview
from gateway.administration.account_overview import OverviewContext
from gateway.administration.audit import Caller, Credential
from gateway.administration.findings import ADVICE, ProblemFinder
from gateway.administration.system import SystemState
from gateway.clock import Clock
from gateway.contract.extensions.overview import (
    FindingKind,
    ListOverviewInstances,
    Overview,
    OverviewInstancePage,
    ReadOverview,
    RetentionRules,
)
from gateway.contract.extensions.partner import RotateInstanceToken
from gateway.contract.scopes import ALL_SCOPES, SCOPES_OF_ROLE, UserRole
from gateway.database.pool import Database
from gateway.errors import Forbidden, UnknownInstance
from gateway.instances.accounts import Account
from gateway.instances.creation import Registry
from gateway.instances.tokens import TokenVault, hash_of
from gateway.media.allowance import StorageAllowance
from gateway.sessions.connection import ConnectionState
from gateway.sessions.leases import Leases
from tests.fixtures.queue import add_instances, rows

STALLED_SECONDS = 60.0
MAX_WAITING = 10
OPERATOR = Caller(Credential.SESSION, user="root@example.com", scopes=ALL_SCOPES)


@dataclass(frozen=True)
class Screen:
    """What the pages read, for one account."""

    context: OverviewContext

    async def page(self, **asked: Any) -> OverviewInstancePage:
        return await account_overview.list_instances(self.context, ListOverviewInstances(**asked))

    async def ids(self, **asked: Any) -> list[str]:
        return [each.id for each in (await self.page(**asked)).instances]

    async def overview(self) -> Overview:
        return await account_overview.read_overview(self.context, ReadOverview())

    async def kinds(self) -> dict[str, str | None]:
        return {each.kind.value: each.instance_id for each in (await self.overview()).findings}


def system_on(database: Database, problems: ProblemFinder) -> SystemState:
    return SystemState(
        database,
        problems,
        Path(__file__).parent,
        "sandbox",
        lambda: {
            "providers": ["sandbox"],
            "operations": [
                {"operation": "A", "supportedBy": ["sandbox"]},
                {"operation": "B", "supportedBy": []},
            ],
        },
        lambda caller: cast("Any", caller),
        lambda caller: cast("Any", caller),
    )


@pytest.fixture
async def screen(database_url: str, operator: AsyncConnection) -> AsyncIterator[Screen]:
    """The pages of an account with three connected instances whose webhooks are set."""
    await add_instances(operator, 3)
    await operator.execute("update instances set received_callback_url = 'https://x.example'")
    await operator.execute("update instances set subscribed = true")
    await connect(operator, "line-001", "line-002", "line-003")
    database = Database(database_url, min_size=1, max_size=2)
    await database.open()
    vault = TokenVault(("x" * 32,), os.urandom)
    account = cast("Account", _Acme())
    yield Screen(
        OverviewContext(
            database,
            ProblemFinder(database, STALLED_SECONDS, MAX_WAITING),
            StorageAllowance(database, Clock(), max_bytes=1_000),
            RetentionRules(
                history_days=1,
                failed_message_days=2,
                file_days=3,
                callback_days=4,
                dead_letter_days=5,
                audit_days=6,
            ),
            Registry(database, vault, os.urandom, secret_settings=lambda _name: ()),
            account,
        )
    )
    await database.pool.close()


@dataclass(frozen=True)
class _Acme:
    id: str = "acme"


async def connect(operator: AsyncConnection, *ids: str, state: str = "connected") -> None:
    await operator.execute(
        """insert into instance_connections (instance_id, state, phone, changed_at)
           select id, %s, '55119' || right(id, 3), now() - interval '1 hour'
           from unnest(%s::text[]) as id
           on conflict (instance_id) do update
           set state = excluded.state, phone = coalesce(instance_connections.phone, excluded.phone),
               changed_at = excluded.changed_at""",
        [state, list(ids)],
    )


async def queue_up(
    operator: AsyncConnection, instance_id: str, *, count: int = 1, status: str = "pending"
) -> None:
    await operator.execute(
        """insert into message_queue (instance_id, sequence_number, position, version, priority,
               max_attempts, status, zaap_id, message_id, type, phone, payload, last_error, due_at)
           select %(id)s, n, n, 1, 1, 3, %(status)s, 'z' || n, %(status)s || n, 'send-text', '55',
                  '{}', case when %(status)s = 'failed' then 'refused' end,
                  now() - interval '1 hour'
           from generate_series(1, %(count)s) n""",
        {"id": instance_id, "count": count, "status": status},
    )
    await operator.execute(
        "update instance_lines set next_sequence = greatest(next_sequence, %s)"
        " where instance_id = %s",
        [count + 1, instance_id],
    )


async def test_phone_is_down_since_it_was_connected_last_also_after_a_restart(
    screen: Screen, operator: AsyncConnection
) -> None:
    set_state = "update instance_connections set state = %s, changed_at = now() - %s::interval"
    for state, age in (("disconnected", "3 days"), ("connecting", "2 minutes"), ("unpaired", "0")):
        await operator.execute(set_state, [state, age])  # the node started two minutes ago

    (first, *_others) = (await screen.page()).instances
    found = next(
        each for each in (await screen.overview()).findings if each.kind is FindingKind.UNPAIRED
    )
    (days,) = await rows(operator, "select extract(day from now() - %s)", first.down_since)
    await operator.execute(set_state, ["connected", "0"])
    (again, *_others) = (await screen.page()).instances
    await operator.execute(set_state, ["disconnected", "5 minutes"])
    (down, *_others) = (await screen.page()).instances

    assert (days, found.since) == (3, first.down_since)
    assert again.down_since is None
    assert await rows(operator, "select extract(minute from now() - %s)", down.down_since) == [5]


async def test_phone_that_was_down_before_this_was_noted_keeps_its_moment(
    screen: Screen, operator: AsyncConnection
) -> None:
    await connect(operator, "line-001", state="disconnected")
    await operator.execute("update instance_connections set down_since = null")
    (before, *_others) = (await screen.page()).instances

    await operator.execute(
        "update instance_connections set state = 'connecting', changed_at = now()"
    )
    (after, *_others) = (await screen.page()).instances

    assert before.down_since is not None
    assert after.down_since == before.down_since


async def test_instances_are_searched_filtered_sorted_and_paged(
    screen: Screen, operator: AsyncConnection
) -> None:
    await operator.execute("update instances set name = 'Ze' where id = 'line-001'")
    await operator.execute(
        "update instances set name = 'ana', provider = 'x' where id = 'line-002'"
    )
    await operator.execute("update instances set name = 'Bob' where id = 'line-003'")
    await connect(operator, "line-003", state="disconnected")
    await queue_up(operator, "line-003", count=2)
    await operator.execute("update instance_lines set paused = true where instance_id = 'line-003'")
    await operator.execute(
        "insert into chats (instance_id, phone, last_message_at) values"
        " ('line-001', '1', now() - interval '1 day'), ('line-003', '2', now())"
    )
    await operator.execute("insert into accounts (id, name) values ('b', 'B')")
    await operator.execute(
        """insert into instances (id, account_id, name, token_hash, token_ciphertext, token_key_id,
                                  provider)
           values ('foreign', 'b', 'Bob', '', '', 'k', 'sandbox')"""
    )

    page = await screen.page(state="down")

    (bob,) = page.instances
    assert (page.total, page.states) == (1, {"connected": 2, "disconnected": 1})
    assert (bob.id, bob.waiting, bob.paused, bob.phone) == ("line-003", 2, True, "55119003")
    assert bob.state_text == ConnectionState.DISCONNECTED.sentence
    assert bob.down_since is not None
    assert bob.paused_since is not None
    assert bob.last_message_at is not None
    assert await screen.ids() == ["line-002", "line-003", "line-001"]
    assert await screen.ids(descending=True) == ["line-001", "line-003", "line-002"]
    assert await screen.ids(sort="lastMessage") == ["line-001", "line-003", "line-002"]
    assert await screen.ids(sort="waiting", descending=True, page_size=1) == ["line-003"]
    assert await screen.ids(sort="created", page=2, page_size=2) == ["line-003"]
    assert (await screen.ids(sort="downSince"))[0] == "line-003"
    assert await screen.ids(query="BOB") == ["line-003"]
    assert await screen.ids(query="55 119-002") == ["line-002"]
    assert await screen.ids(query="line-001") == ["line-001"]
    assert await screen.ids(provider="x") == ["line-002"]
    assert await screen.ids(query="100%") == []


CHANGES = {
    "logged_out": "update instance_connections set state = 'logged_out' where instance_id = %s",
    "disconnected": "update instance_connections set state = 'disconnected' where instance_id = %s",
    "banned": "update instance_connections set state = 'banned' where instance_id = %s",
    "connecting": "update instance_connections set state = 'connecting' where instance_id = %s",
    "no_webhook": "update instances set received_callback_url = null where id = %s",
    "trial_ended": """update instances
                      set subscribed = false, trial_ends_at = now() - interval '1 day'
                      where id = %s""",
    "held_by_whatsapp": """update instance_lines
                           set hold_kind = 'restricted', hold_until = now() + interval '1 hour'
                           where instance_id = %s""",
    "first_contacts_held": """update instance_lines
                              set first_contacts_until = now() + interval '1 hour'
                              where instance_id = %s""",
    "connection_unhealthy": """with checked as (
                                   update instance_connections set health = 'unhealthy'
                                   where instance_id = %s
                                   returning instance_id
                               ), node as (
                                   insert into nodes (id, expires_at) values ('n', 'infinity')
                                   returning id
                               )
                               insert into instance_leases (instance_id, node_id, epoch)
                               select instance_id, node.id, 1 from checked, node""",
    "daily_limit": """update instance_lines
                      set hold_kind = 'daily_limit', hold_until = now() + interval '1 hour'
                      where instance_id = %s""",
    "linking_unconfirmed": """with link as (
                                  insert into phone_links (instance_id, token_hash, phones,
                                      max_codes, expires_at, used_at, linking)
                                  values (%s, '', '{}', 5, now(), now(), 'held')
                                  returning instance_id
                              )
                              update instance_lines n
                              set hold_kind = 'linking', hold_until = now() + interval '100 years'
                              from link where n.instance_id = link.instance_id""",
    "dead_letters": """insert into webhook_dead_letters (instance_id, id, chat, type, body,
                           attempts, last_error, created_at)
                       values (%s, gen_random_uuid(), 'c', 't', 'b', 1, 'e', now())""",
    "webhook_failing": """insert into webhook_lines (instance_id, chat, pending, next_position,
                              due_at, failing_since)
                          values (%s, 'c', 2, 3, now(), now() - interval '10 minutes')""",
}


async def test_each_problem_is_found(screen: Screen, operator: AsyncConnection) -> None:
    await operator.execute(
        """insert into instances (id, account_id, name, token_hash, token_ciphertext, token_key_id,
                                  provider, subscribed, received_callback_url)
           select kind, 'acme', kind, '', '', 'k', 'sandbox', true, 'https://x.example'
           from unnest(%s::text[]) as kind""",
        [list(CHANGES)],
    )
    await connect(operator, *CHANGES)
    before = (await screen.overview()).findings
    for kind, change in CHANGES.items():
        await operator.execute(change.encode(), [kind])
    await operator.execute(
        """insert into media (instance_id, id, mime_type, size_bytes, expires_at)
           values ('line-001', 'f', 'image/png', 900, now() + interval '1 day')"""
    )

    overview = await screen.overview()

    assert before == ()
    assert await screen.kinds() == {kind: kind for kind in CHANGES} | {"storage_nearly_full": None}
    assert set(overview.finding_counts.values()) == {1}
    assert overview.callbacks.dead_letters == 1


async def test_health_that_no_node_checks_is_no_finding(
    screen: Screen, operator: AsyncConnection
) -> None:
    await operator.execute("update instance_connections set health = 'unhealthy'")
    await operator.execute("insert into nodes (id, expires_at) values ('a', 'infinity')")
    found = await screen.kinds()
    await operator.execute("update nodes set expires_at = now()")

    assert "connection_unhealthy" in found
    assert await screen.kinds() == {}


async def test_queue_problems_are_found_and_tell_apart(
    screen: Screen, operator: AsyncConnection
) -> None:
    await queue_up(operator, "line-001")
    await queue_up(operator, "line-002")
    await operator.execute("update instance_lines set paused = true where instance_id = 'line-002'")
    just_paused = await screen.kinds()
    await operator.execute(
        "update instance_lines set pause_changed_at = now() - interval '1 hour'"
        " where instance_id = 'line-002'"
    )
    await queue_up(operator, "line-003", status="failed")

    overview = await screen.overview()

    assert just_paused == {"queue_stalled": "line-001"}
    assert await screen.kinds() == {
        "queue_stalled": "line-001",
        "queue_paused": "line-002",
        "messages_failed": "line-003",
    }
    assert overview.findings[0].kind is FindingKind.QUEUE_STALLED, "the most severe first"
    assert (overview.queue.waiting, overview.queue.failed) == (2, 1)
    assert overview.queue.failed_last_hour == 1
    assert overview.queue.oldest_seconds is not None
    await operator.execute(
        "update instance_lines set paused = false where instance_id = 'line-002'"
    )
    resumed = await screen.kinds()
    assert resumed.get("queue_stalled") == "line-001", "a queue just resumed does not stand still"
    assert "queue_paused" not in resumed
    await operator.execute(
        "update message_queue set status = 'processing', claimed_epoch = 1"
        " where instance_id = 'line-001'"
    )
    assert "queue_stalled" not in await screen.kinds()


async def test_a_linking_that_needs_nobody_is_no_finding(
    screen: Screen, operator: AsyncConnection
) -> None:
    await operator.execute(CHANGES["linking_unconfirmed"].encode(), ["line-001"])
    found = await screen.kinds()
    await operator.execute("update phone_links set linking = 'wrong_phone'")

    assert found == {"linking_unconfirmed": "line-001"}
    assert await screen.kinds() == {}


async def test_only_messages_that_wait_fill_a_queue(
    screen: Screen, operator: AsyncConnection
) -> None:
    await queue_up(operator, "line-001", count=30, status="scheduled")
    await operator.execute("delete from message_queue where sequence_number between 2 and 22")
    almost = (await screen.overview()).finding_counts
    await operator.execute("delete from message_queue where sequence_number = 30")

    assert almost == {"queue_nearly_full": 1}
    assert (await screen.overview()).finding_counts == {}


async def test_findings_of_a_kind_are_cut_and_counted(
    screen: Screen, operator: AsyncConnection
) -> None:
    await operator.execute(
        """insert into instances (id, account_id, name, token_hash, token_ciphertext, token_key_id,
                                  provider, subscribed)
           select 'more-' || n, 'acme', 'More', '', '', 'k', 'sandbox', true
           from generate_series(1, 30) n"""
    )
    await queue_up(operator, "line-001", count=9, status="scheduled")

    overview = await screen.overview()

    assert len(overview.findings) == 21
    assert overview.finding_counts == {"no_webhook": 30, "queue_nearly_full": 1}


def test_every_kind_has_a_cure_in_one_sentence() -> None:
    assert set(ADVICE) == set(FindingKind)
    for advice in ADVICE.values():
        assert advice.cure.endswith(".")
        assert advice.cure.count(". ") == 0


async def test_a_rotated_token_replaces_the_one_before(
    screen: Screen, operator: AsyncConnection
) -> None:
    made = await account_overview.rotate_token(
        screen.context, RotateInstanceToken(instance_id="line-001")
    )

    (stored,) = await rows(operator, "select token_hash from instances where id = 'line-001'")
    assert stored == hash_of(made.token)
    other = replace(screen.context, account=cast("Account", _Acme("other")))
    with pytest.raises(UnknownInstance):
        await account_overview.rotate_token(other, RotateInstanceToken(instance_id="line-001"))


async def test_an_operator_sees_nodes_database_and_accounts(
    screen: Screen, operator: AsyncConnection
) -> None:
    database = screen.context.database
    system = system_on(database, screen.context.problems)
    await Leases(database, Clock(), node_id="a", lapse_seconds=600.0, role="sender").join()
    await operator.execute(
        "insert into nodes (id, expires_at) values ('old', now() + interval '1 hour'),"
        " ('gone', now() - interval '1 hour')"
    )
    await connect(operator, "line-001", state="banned")

    nodes = {node.id: node for node in await system.nodes(OPERATOR)}
    state = await system.database_state(OPERATOR)
    found = await system.problems_of_all(OPERATOR)
    (provider,) = await system.providers(OPERATOR)
    (account,) = await system.accounts(OPERATOR, text="ACM")

    assert (nodes["a"].role, nodes["a"].leases, nodes["a"].is_live) == ("sender", 3, True)
    assert nodes["a"].version
    assert (nodes["old"].role, nodes["old"].version) == (None, None)
    assert not nodes["gone"].is_live
    assert state.size_bytes > 0
    assert not state.is_read_only
    assert state.instances_without_node == 0
    kinds = {each.kind for each in found.findings}
    assert {FindingKind.BANNED, FindingKind.NODE_EXPIRED, FindingKind.VERSIONS_DIFFER} <= kinds
    assert "Acme: Line" in {each.subject for each in found.findings}
    assert (provider.supported, provider.lacking, provider.instances) == (1, ("B",), 3)
    assert (account.instances, account.connected, account.of_all) == (3, 2, 1)
    assert await system.accounts(OPERATOR, text="nobody") == []
    assert (await system.disk(OPERATOR)).total_bytes > 0
    await operator.execute("update nodes set life = gen_random_uuid() where id = 'a'")
    replaced = {node.id: node for node in await system.nodes(OPERATOR)}["a"]
    assert (replaced.role, replaced.version) == (None, None), "a process of the release before"


@pytest.mark.parametrize(
    "caller",
    [
        Caller(Credential.SESSION, scopes=ALL_SCOPES, account_id="acme"),
        Caller(Credential.PARTNER_TOKEN, scopes=ALL_SCOPES),
        Caller(Credential.API_KEY, scopes=ALL_SCOPES),
        Caller(Credential.SESSION, scopes=SCOPES_OF_ROLE[UserRole.VIEWER]),
    ],
)
async def test_nobody_but_an_operator_sees_the_system(caller: Caller) -> None:
    system = system_on(cast("Any", None), cast("Any", None))

    for read in (
        system.nodes,
        system.database_state,
        system.disk,
        system.providers,
        system.totals,
        system.problems_of_all,
        system.accounts,
    ):
        with pytest.raises(Forbidden):
            await read(caller)
    with pytest.raises(Forbidden):
        system.users(caller)
    with pytest.raises(Forbidden):
        system.account_admin(caller)

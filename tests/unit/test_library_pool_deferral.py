"""What a client writes as it receives a message is written once the message is stored."""

import asyncio
from collections.abc import Sequence

from gateway.clock import Clock
from gateway.database.library_pool.deferral import Deferral, DeferredStatements
from gateway.database.library_pool.wire import Bound, ClientRequest

_READ = b"select session from sessions where owner=$1 and person=$2"
_WRITE = b"insert into sessions (owner, person, session) values ($1, $2, $3) on conflict do update"
_DELETE = b"delete from prekeys where owner=$1 and id=$2"
_DEFERRED = [
    DeferredStatements(_WRITE, _READ, b"session", b"sessions"),
    DeferredStatements(_DELETE, b"", b"", b""),
]


def read(person: bytes) -> ClientRequest:
    return ClientRequest(_READ, Bound((b"ana", person)))


def write(person: bytes, value: bytes) -> ClientRequest:
    return ClientRequest(_WRITE, Bound((b"ana", person, value), (0, 0, 1)))


def delete(number: bytes) -> ClientRequest:
    return ClientRequest(_DELETE, Bound((b"ana", number)))


class Written:
    """A database that notes what runs."""

    def __init__(self) -> None:
        self.transactions: list[list[ClientRequest]] = []

    async def run(self, requests: Sequence[ClientRequest]) -> None:
        self.transactions.append(list(requests))


def deferral_of(written: Written) -> Deferral:
    return Deferral(_DEFERRED, Clock(), written.run)


async def test_deferral_that_has_not_begun_answers_nothing() -> None:
    deferral = deferral_of(Written())

    assert deferral.answer(write(b"bob", b"one")) is None
    assert deferral.answer(read(b"bob")) is None


async def test_released_writes_run_in_one_transaction_the_newest_of_each_row() -> None:
    deferral = deferral_of(written := Written())
    await deferral.begin()

    for request in (write(b"bob", b"one"), delete(b"7"), write(b"bob", b"two")):
        assert deferral.answer(request)
    assert written.transactions == []
    await deferral.release()

    assert written.transactions == [[write(b"bob", b"two"), delete(b"7")]]
    assert deferral.answer(write(b"bob", b"three")) is None


async def test_read_of_a_held_row_is_answered_from_it() -> None:
    deferral = deferral_of(Written())
    await deferral.begin()
    deferral.answer(write(b"bob", b"\x01\xff"))

    assert b"\\x01ff" in (deferral.answer(read(b"bob")) or b"")
    assert deferral.answer(read(b"carol")) is None


async def test_dropped_writes_never_run() -> None:
    deferral = deferral_of(written := Written())
    await deferral.begin()
    deferral.answer(write(b"bob", b"one"))

    await deferral.drop()
    await deferral.release()

    assert written.transactions == []


async def test_other_statement_on_the_table_waits_for_the_release() -> None:
    deferral = deferral_of(written := Written())
    await deferral.begin()
    deferral.answer(write(b"bob", b"one"))
    many = ClientRequest(b"select person, session from sessions where person = any($1)", Bound())

    waiting = asyncio.create_task(deferral.wait_for(many))
    await deferral.wait_for(ClientRequest(b"select 1 from prekeys", Bound()))
    await deferral.wait_for(read(b"carol"))
    assert not waiting.done()
    await deferral.release()
    await waiting

    assert len(written.transactions) == 1


async def test_later_statement_of_a_transaction_replaces_a_held_write() -> None:
    deferral = deferral_of(written := Written())
    await deferral.begin()
    deferral.answer(write(b"bob", b"one"))

    deferral.note(write(b"bob", b"two"))
    await deferral.release()

    assert written.transactions == []

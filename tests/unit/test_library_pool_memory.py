"""Identity keys are answered from memory, and never after something changed them."""

from pathlib import Path

from gateway.database.library_pool.memory import AnswerMemory, RepeatedStatements
from gateway.database.library_pool.wire import Bound, ClientRequest
from gateway.providers.whatsmeow.library_pool import library_pool_options
from gateway.providers.whatsmeow.settings import WhatsmeowSettings

READ = b"SELECT identity FROM whatsmeow_identity_keys WHERE our_jid=$1 AND their_id=$2"
WRITE = b"""
    INSERT INTO whatsmeow_identity_keys (our_jid, their_id, identity) VALUES ($1, $2, $3)
    ON CONFLICT (our_jid, their_id) DO UPDATE SET identity=excluded.identity
"""
REPEATED = RepeatedStatements.of(
    library_pool_options(WhatsmeowSettings(), Path()).repeated  # as the library spells them
)
DELETE = b"DELETE FROM whatsmeow_identity_keys WHERE our_jid=$1 AND their_id LIKE $2"


def read(person: bytes = b"ana") -> ClientRequest:
    return ClientRequest(READ, Bound((b"us", person)))


def write(key: bytes, person: bytes = b"ana") -> ClientRequest:
    return ClientRequest(WRITE, Bound((b"us", person, key), (0, 0, 1)))


DELETE_ANA = ClientRequest(DELETE, Bound((b"us", b"ana")))


def run(memory: AnswerMemory, request: ClientRequest, answer: bytes | None) -> None:
    memory.end(request, memory.begin(request), answer)


def known() -> AnswerMemory:
    memory = AnswerMemory(REPEATED)
    for person in (b"ana", b"bob"):
        run(memory, write(b"key", person), b"written")
        run(memory, read(person), b"key of " + person)
    return memory


def test_memory_answers_what_postgres_would_repeat() -> None:
    memory = known()
    assert memory.answer(read()) == b"key of ana"
    assert memory.answer(write(b"key")) == b"written"
    assert memory.answer(write(b"another")) is None
    assert memory.answer(read(b"eve")) is None
    assert memory.answer(ClientRequest(b"SELECT session FROM whatsmeow_sessions", Bound())) is None


def test_memory_after_another_key_drops_that_of_this_person_only() -> None:
    memory = known()
    run(memory, write(b"another"), b"written")
    assert memory.answer(read()) is None
    assert memory.answer(write(b"key")) is None
    assert memory.answer(write(b"another")) == b"written"
    assert memory.answer(read(b"bob")) == b"key of bob"


def test_memory_after_a_deletion_or_a_failure_knows_nothing_of_it() -> None:
    memory = known()
    run(memory, DELETE_ANA, b"deleted")
    assert memory.answer(read(b"bob")) is None
    assert memory.answer(write(b"key")) is None
    run(memory, write(b"key"), None)
    assert memory.answer(write(b"key")) is None


def test_memory_of_statements_at_the_same_time_knows_nothing() -> None:
    for changing in (DELETE_ANA, write(b"another")):
        for asked in (read(), write(b"key")):
            memory = AnswerMemory(REPEATED)
            begun, changed = memory.begin(asked), memory.begin(changing)
            memory.end(changing, changed, b"changed")
            memory.end(asked, begun, b"before or after")
            assert memory.answer(asked) is None

            begun, changed = memory.begin(asked), memory.begin(changing)
            memory.end(asked, begun, b"before or after")
            memory.end(changing, changed, b"changed")
            assert memory.answer(asked) is None

    memory = AnswerMemory(REPEATED)
    begun = memory.begin(read())
    memory.drop()  # a transaction that changed a key ended
    memory.end(read(), begun, b"before or after")
    assert memory.answer(read()) is None


def test_memory_has_room_for_some_keys_only() -> None:
    memory = AnswerMemory(REPEATED)
    for number in range(1_000):
        run(memory, read(b"%d" % number), b"key")
    answers = [memory.answer(read(b"%d" % number)) for number in range(1_000)]
    assert answers == [None] * 800 + [b"key"] * 200

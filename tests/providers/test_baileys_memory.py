"""What one session receives, sends and stores takes a limited part of a shared process."""

import asyncio
import json
from pathlib import Path
from typing import Any

from gateway.providers import baileys
from gateway.providers.baileys.node_program import find_node
from gateway.providers.baileys.settings import BaileysSettings
from tests.fixtures.baileys_packages import installed_packages

CHILD = Path(baileys.__file__).parent / "child"


async def run(script: str) -> Any:
    """Returns what the script, which may import modules of the child, gives to `answer`."""
    program = await asyncio.create_subprocess_exec(
        str(find_node(BaileysSettings())),
        *("--input-type=module", "-e"),
        f"const answer = (v) => console.log(JSON.stringify(v));\n{script}",
        stdout=asyncio.subprocess.PIPE,
        cwd=CHILD,
    )
    out, _ = await program.communicate()
    return json.loads(out)


async def test_long_history_becomes_events_of_limited_length() -> None:
    parts = await run(
        """
        const { historiesOf } = await import('./history.mjs');
        const each = (count, make) => Array.from({ length: count }, (_none, n) => make(n));
        answer(historiesOf({
          chats: each(2000, (n) => ({ id: `${n}@s.whatsapp.net`, name: 'x'.repeat(100) })),
          contacts: each(500, (n) => ({ id: `${n}@lid`, notify: `name ${n}` })),
          messages: each(100, (n) => ({ key: { remoteJid: '7@s.whatsapp.net', id: String(n) } })),
          lidPnMappings: each(400, (n) => ({ lid: `${n}@lid`, pn: `${n}@s.whatsapp.net` })),
        }, { asJson: (value) => value, proto: {} }));
        """
    )
    assert len(parts) > 1
    assert max(len(json.dumps(part)) for part in parts) < 2 * 65_536

    def every(name: str) -> list[Any]:
        return [item for part in parts for item in part.get(name, ())]

    chats = every("conversations")
    assert [chat["id"] for chat in chats] == [f"{n}@s.whatsapp.net" for n in range(2000)]
    assert len(chats[7]["messages"]) == 20
    assert sorted(each["ID"] for each in every("pushnames")) == sorted(
        f"{n}@lid" for n in range(500)
    )
    for part in parts:  # the engine reads the name of a pair from the same event
        names = {each["ID"] for each in part.get("pushnames", ())}
        assert names >= {each["lidJID"] for each in part.get("phoneNumberToLidMappings", ())}


async def test_empty_history_is_no_event() -> None:
    script = "const { historiesOf } = await import('./history.mjs'); answer(historiesOf({}, {}));"
    assert await run(script) == []


async def test_parts_of_a_history_leave_one_with_each_batch() -> None:
    batches = await run(
        """
        const { Outbox } = await import('./outbox.mjs');
        const batches = [];
        const commit = async (batch) => void batches.push(batch);
        const outbox = new Outbox({ commit, onFailure: () => {}, mayAct: () => true });
        for (const n of [1, 2, 3]) outbox.addLater('HistorySync', n);
        outbox.addEvent('Message', 'a');
        outbox.addRow('session', 'x', 'key');
        await outbox.drained();
        answer(batches.map(({ rows, events }) => [rows.length, events]));
        """
    )
    assert batches == [
        [1, [["Message", "a"], ["HistorySync", 1]]],
        [0, [["HistorySync", 2]]],
        [0, [["HistorySync", 3]]],
    ]


async def test_sent_messages_and_keys_take_a_limited_memory() -> None:
    kept = await run(
        """
        const { Sent } = await import('./sending.mjs');
        const { Keys } = await import('./keys.mjs');
        const sent = new Sent(200, 1_000);
        for (const id of ['a', 'b', 'c', 'c']) sent.answer(id, id, 400);
        const few = ['a', 'b', 'c'].filter((id) => sent.message(id));
        sent.answer('long', 'x', 5_000);
        const reads = [];
        const outbox = { isIdle: true, addRow: () => {} };
        const replacer = (_name, value) => value;
        const library = { baileys: { BufferJSON: { replacer }, proto: {} } };
        const keys = new Keys(library, outbox);
        for (const id of ['1', '2', '3']) keys.set({ session: { [id]: 'k'.repeat(1_500_000) } });
        const stored = '"stored"';
        keys.read = async (_kind, ids) => (reads.push(...ids), { 1: stored });
        keys.parse = (text) => text.length;
        const found = await keys.get('session', ['1', '2', '3']);
        answer({ few, long: sent.message('long'), others: sent.message('c'), reads, found });
        """
    )
    lengths = {"1": len('"stored"'), "2": 1_500_002, "3": 1_500_002}
    assert kept == {"few": ["b", "c"], "long": "x", "reads": ["1"], "found": lengths}


async def test_history_that_inflates_without_end_is_refused() -> None:
    refused = await run(
        f"""
        import zlib from 'node:zlib';
        import {{ pipeline }} from 'node:stream/promises';
        import {{ Readable }} from 'node:stream';
        const {{ loadLibrary }} = await import('./library.mjs');
        const {{ baileys }} = await loadLibrary({json.dumps(str(installed_packages()))});
        const bomb = zlib.deflateSync(Buffer.alloc(100 * 1024 * 1024));
        const read = (payload) => baileys.downloadAndProcessHistorySyncNotification(
          {{ initialHistBootstrapInlinePayload: payload }}, {{}});
        const inline = await read(bomb).then(() => 'read', (error) => error.message);
        const {{ createInflate }} = await import('zlib');
        const inflating = createInflate();
        inflating.resume();
        const streamed = await pipeline(Readable.from([bomb]), inflating).then(
          () => 'read', (error) => error.message);
        const kept = await read(zlib.deflateSync(Buffer.from([8, 0])));
        answer({{ inline, streamed, kept: kept.messages }});
        """
    )
    assert "larger than" in refused["inline"]
    assert "more than the limit" in refused["streamed"]
    assert refused["kept"] == []

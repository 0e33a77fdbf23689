// Translates the history that a phone sends to a device it has just linked.

const MAX_MESSAGES_OF_CHAT = 20;
const MAX_PART_CHARACTERS = 65_536; // the engine reads a part at once

// Returns the bodies of events, each of a part of the history; `asJson` is that of `Messages`. Calls `setAside`
// with the error and the message, where one cannot be read.
export function historiesOf({ chats, contacts, messages, lidPnMappings }, { asJson, proto, setAside }) {
  const byChat = new Map();
  for (const message of messages ?? []) {
    const of = byChat.get(message.key?.remoteJid) ?? [];
    byChat.set(message.key?.remoteJid, of);
    if (of.length === MAX_MESSAGES_OF_CHAT) continue;
    try {
      of.push({ message: asJson(message, proto.WebMessageInfo) });
    } catch (error) {
      setAside(error, message);
    }
  }
  const names = new Map((contacts ?? []).filter(({ notify }) => notify).map(({ id, notify }) => [id, notify]));
  const parts = new Parts();
  for (const { lid, pn } of lidPnMappings ?? []) {
    // Name and pair go together: the engine reads them from one event.
    for (const id of [lid, pn]) {
      if (names.has(id)) parts.add('pushnames', { ID: id, pushname: names.get(id) });
      names.delete(id);
    }
    parts.add('phoneNumberToLidMappings', { lidJID: lid, pnJID: pn });
    parts.endIfFull();
  }
  for (const [id, name] of names) {
    parts.add('pushnames', { ID: id, pushname: name });
    parts.endIfFull();
  }
  for (const chat of chats ?? []) {
    const listed = asJson({ ...chat, messages: [] }, proto.Conversation);
    parts.add('conversations', { ...listed, messages: byChat.get(chat.id) ?? [] });
    parts.endIfFull();
  }
  return parts.end();
}

class Parts {
  #done = [];
  #part = {};
  #length = 0;

  add(name, item) {
    (this.#part[name] ??= []).push(item);
    this.#length += JSON.stringify(item).length;
  }

  endIfFull() {
    if (this.#length < MAX_PART_CHARACTERS) return;
    this.#done.push(this.#part);
    this.#part = {};
    this.#length = 0;
  }

  end() {
    return this.#length ? [...this.#done, this.#part] : this.#done;
  }
}

// Translates the history that a phone sends to a device it has just linked.

const MAX_MESSAGES_OF_CHAT = 20;

// Returns the body of one event; `asJson` is that of `Messages`. Calls `setAside` with the error and the
// message, where one cannot be read.
export function historyOf({ chats, contacts, messages, lidPnMappings }, { asJson, proto, setAside }) {
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
  return {
    conversations: (chats ?? []).map((chat) => {
      const listed = asJson({ ...chat, messages: [] }, proto.Conversation);
      return { ...listed, messages: byChat.get(chat.id) ?? [] };
    }),
    pushnames: (contacts ?? [])
      .filter(({ notify }) => notify)
      .map(({ id, notify }) => ({ ID: id, pushname: notify })),
    phoneNumberToLidMappings: (lidPnMappings ?? []).map(({ lid, pn }) => ({ lidJID: lid, pnJID: pn })),
  };
}

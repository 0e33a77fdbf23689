// What the owner does with a whole chat, which the phone and the other devices show too.

import { changeAppState, hasAppState } from '../app_state.mjs';
import { isGroup } from '../jids.mjs';

const FOR_EVER = -1;

// WhatsApp wants the range of messages that a change is about: it ends with the newest one.
function rangeUpTo(jid, newest) {
  if (!newest) return { lastMessageTimestamp: Math.floor(Date.now() / 1000) };
  const { id, from_me: fromMe, sender, sent_at: timestamp } = newest;
  const participant = isGroup(jid) && !fromMe ? { participant: sender } : {};
  const key = { remoteJid: jid, id, fromMe, ...participant };
  return { lastMessageTimestamp: timestamp, messages: [{ key, timestamp }] };
}

const CHANGES = {
  archive: (lastMessages) => ({ archive: true, lastMessages }),
  unarchive: (lastMessages) => ({ archive: false, lastMessages }),
  pin: () => ({ pin: true }),
  unpin: () => ({ pin: false }),
  mute: () => ({ mute: FOR_EVER }),
  unmute: () => ({ mute: null }),
  read: (lastMessages) => ({ markRead: true, lastMessages }),
  unread: (lastMessages) => ({ markRead: false, lastMessages }),
  clear: (lastMessages) => ({ clear: true, lastMessages }),
  delete: (lastMessages) => ({ delete: true, lastMessages }),
};

async function modify_chat(session, { jid, action, newest }) {
  await changeAppState(session, CHANGES[action](rangeUpTo(jid, newest)), jid);
}

// Ends also a mark as unread, which stands for no message; receipts do the rest, for the senders.
async function end_unread_mark(session, given) {
  if (hasAppState(session)) await modify_chat(session, { ...given, action: 'read' });
}

export const CHATS = { modify_chat, end_unread_mark };

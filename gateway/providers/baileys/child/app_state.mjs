// The app state: the contacts of an account, and what its owner does with chats. All devices share it.

import { jidOf } from './jids.mjs';
import { failed } from './limits.mjs';
import { childOf } from './nodes.mjs';

const MAX_TRIES = 3;
const CONFLICT = '409';
const NOT_READY = 'the phone has not shared its contacts and chats with this device yet';

export const hasAppState = ({ creds }) => Boolean(creds.myAppStateKeyId);

// Writes a change, in the library's form of one. The library's own method takes an answer in which
// WhatsApp refuses the change, because another device was faster, for success.
export async function changeAppState(session, change, jid) {
  const { sock, keys, creds, library } = session;
  if (!hasAppState(session)) throw failed('NotReady', NOT_READY);
  const patch = library.baileys.chatModificationToAppPatch(change, jid);
  const write = async () => {
    for (let left = MAX_TRIES; left > 0; left -= 1) {
      if (await isWritten(session, patch)) return;
    }
    throw failed('Conflict', 'another device changes the chats at the same time');
  };
  await sock.appStatePatchMutex.mutex(() => keys.transaction(write, creds.me.id));
}

async function isWritten({ sock, keys, creds, library }, change) {
  const { encodeSyncdPatch, ensureLTHashStateVersion, newLTHashState, proto } = library.baileys;
  const name = change.type;
  await sock.resyncAppState([name], false);
  const stored = (await keys.get('app-state-sync-version', [name]))[name];
  const before = stored ? ensureLTHashStateVersion(stored) : newLTHashState();
  const keyOf = async (id) => (await keys.get('app-state-sync-key', [id]))[id];
  const { patch, state } = await encodeSyncdPatch(change, creds.myAppStateKeyId, before, keyOf);
  const bytes = proto.SyncdPatch.encode(patch).finish();
  const answer = await sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', type: 'set', xmlns: 'w:sync:app:state' },
    content: [{
      tag: 'sync',
      attrs: {},
      content: [{
        tag: 'collection',
        attrs: { name, version: String(before.version), return_snapshot: 'false' },
        content: [{ tag: 'patch', attrs: {}, content: bytes }],
      }],
    }],
  });
  const collection = childOf(childOf(answer, 'sync'), 'collection');
  if (collection?.attrs.type === 'error') {
    const { code, text } = childOf(collection, 'error')?.attrs ?? {};
    if (code === CONFLICT) return false;
    throw failed(`Code${code}`, `WhatsApp refused the change: ${text ?? code}`);
  }
  keys.set({ 'app-state-sync-version': { [name]: state } });
  return true;
}

const numberOf = (value) => Number(String(value ?? 0)); // of 64 bits
const isPast = (ms) => numberOf(ms) > 0 && numberOf(ms) < Date.now();

const ACTIONS = {
  archiveChatAction: ({ archived }) => (archived ? 'archive' : 'unarchive'),
  pinAction: ({ pinned }) => (pinned ? 'pin' : 'unpin'),
  muteAction: ({ muted, muteEndTimestamp }) => (muted && !isPast(muteEndTimestamp) ? 'mute' : 'unmute'),
  markChatAsReadAction: ({ read }) => (read ? 'read' : 'unread'),
  clearChatAction: () => 'clear',
  deleteChatAction: () => 'delete',
};
const ONCE = new Set(['read', 'clear', 'delete']); // a list of chats that is new does not show them

// Returns what another device did with a chat, from a line of the library's log: its events leave
// out times, and chats that were cleared. Returns nothing for another change.
export function modifiedChat({ syncAction, initialSync }) {
  const { syncAction: { value } = {}, index: [, jid] = [] } = syncAction ?? {};
  const name = Object.keys(ACTIONS).find((each) => value?.[each]);
  if (!name || !jid?.includes('@')) return undefined;
  const action = ACTIONS[name](value[name]);
  if (initialSync && ONCE.has(action)) return undefined;
  const at = numberOf(value.timestamp) || Date.now();
  return { JID: jidOf(jid), Action: action, Timestamp: String(at) };
}

// Other people: whether they have WhatsApp, their profile, and blocking them.

import { bare, isGroup, jidOf } from '../jids.mjs';
import { failed } from '../limits.mjs';

const NO_PICTURE = 'that user or group does not have a profile picture';
const HIDDEN_PICTURE = 'the user has hidden their profile picture from you';

async function look_up({ sock }, { phones }) {
  const found = await sock.onWhatsApp(...phones);
  if (!found) throw failed('NoAnswer', 'WhatsApp did not answer');
  return found.map(({ jid, exists }) => ({ JID: jidOf(jid), IsIn: Boolean(exists) }));
}

async function lid_of({ sock }, { jid }) {
  const lid = await sock.signalRepository.lidMapping.getLIDForPN(jid);
  if (!lid) throw failed('NotFound', 'the lid is not known');
  return jidOf(bare(lid));
}

async function user({ sock }, { jid }) {
  const found = await sock.fetchStatus(jid);
  return (found ?? []).map(({ status }) => ({ UserInfo: { Status: status?.status ?? undefined } }));
}

async function picture({ sock }, { jid }) {
  try {
    return { URL: await sock.profilePictureUrl(jid, 'image') };
  } catch (error) {
    if (error?.data === 404) throw failed('NotFound', NO_PICTURE);
    if ([401, 403].includes(error?.data)) throw failed('Forbidden', HIDDEN_PICTURE);
    throw error;
  }
}

async function block({ sock }, { jid, action }) {
  await sock.updateBlockStatus(jid, action);
}

// Sets after how long the messages of a chat disappear; in a chat of two a message says it.
async function expire(session, { jid, nanoseconds }) {
  const seconds = nanoseconds / 1e9;
  if (isGroup(jid)) await session.sock.groupToggleEphemeral(jid, seconds);
  else await session.sock.sendMessage(jid, { disappearingMessagesInChat: seconds || false });
}

export const PEOPLE = { look_up, lid_of, user, picture, block, expire };

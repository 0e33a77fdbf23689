// The account itself: linking, its profile and its privacy.

import { changeAppState, hasAppState } from '../app_state.mjs';
import { jidOf } from '../jids.mjs';
import { failed } from '../limits.mjs';

const PRIVACY = {
  LastSeen: 'last', Profile: 'profile', Status: 'status', GroupAdd: 'groupadd', Online: 'online',
  ReadReceipts: 'readreceipts',
};

async function pair_code({ sock }, { phone }) {
  return sock.requestPairingCode(phone);
}

async function me({ creds }) {
  const { id, lid, name, verifiedName } = creds.me ?? {};
  return { JID: jidOf(id), LID: jidOf(lid), PushName: name, BussinessName: verifiedName, Platform: creds.platform };
}

// The library's own method ends the connection before the request has left.
async function log_out({ sock, creds }) {
  await sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', type: 'set', xmlns: 'md' },
    content: [{ tag: 'remove-companion-device', attrs: { jid: creds.me.id, reason: 'user_initiated' } }],
  });
}

// Sends a request that changes nothing, and that WhatsApp's server answers.
async function probe({ sock }) {
  const answer = await sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', type: 'get', xmlns: 'w:p' },
    content: [{ tag: 'ping', attrs: {} }],
  });
  if (!answer) throw failed('NoAnswer', 'no answer');
}

async function set_own_picture(session, { jpeg }) {
  await set_picture(session, undefined, jpeg);
}

// The library would want another package, to scale the picture; the gateway has done that.
export async function set_picture({ sock }, target, jpeg) {
  await sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', type: 'set', xmlns: 'w:profile:picture', ...(target ? { target } : {}) },
    content: [{ tag: 'picture', attrs: { type: 'image' }, content: Buffer.from(jpeg, 'base64') }],
  });
}

async function set_name(session, { value }) {
  session.creds.me.name = value;
  session.storeCreds();
  await session.sock.sendNode({ tag: 'presence', attrs: { name: value, type: 'available' } });
  if (hasAppState(session)) await changeAppState(session, { pushNameSetting: value }, '');
}

async function set_about({ sock }, { value }) {
  await sock.updateProfileStatus(value);
}

async function privacy({ sock }) {
  const found = await sock.fetchPrivacySettings(true);
  const values = Object.entries(PRIVACY).map(([field, name]) => [field, (found[name] ?? '').toUpperCase()]);
  return Object.fromEntries(values);
}

async function set_privacy({ sock }, { name, value }) {
  await sock.query({
    tag: 'iq',
    attrs: { xmlns: 'privacy', to: 's.whatsapp.net', type: 'set' },
    content: [{ tag: 'privacy', attrs: {}, content: [{ tag: 'category', attrs: { name, value } }] }],
  });
}

async function expire_all({ sock }, { nanoseconds }) {
  await sock.updateDefaultDisappearingMode(nanoseconds / 1e9);
}

export const ACCOUNT = {
  pair_code, me, log_out, probe, set_own_picture, set_name, set_about, privacy, set_privacy, expire_all,
};

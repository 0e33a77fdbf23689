// The phone's address book, reports, and the people that a privacy setting excludes.

import { changeAppState } from '../app_state.mjs';
import { bare, isLid } from '../jids.mjs';
import { childOf, childrenOf } from '../nodes.mjs';

async function save_contact(session, { jid, first_name, full_name }) {
  const contact = { firstName: first_name, fullName: full_name, saveOnPrimaryAddressbook: true };
  await changeAppState(session, { contact }, jid);
}

async function remove_contact(session, { jid }) {
  await changeAppState(session, { contact: null }, jid);
}

// As WhatsApp's web client reports; not verified with WhatsApp.
async function report({ sock }, { jid }) {
  await sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', type: 'set', xmlns: 'spam' },
    content: [{ tag: 'spam_list', attrs: { jid, spam_flow: 'account_info_report' } }],
  });
}

async function listed({ sock }, name) {
  const answer = await sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', type: 'get', xmlns: 'privacy' },
    content: [{ tag: 'privacy', attrs: {}, content: [{ tag: 'list', attrs: { name, value: 'contact_blacklist' } }] }],
  });
  return childOf(childOf(answer, 'privacy'), 'list');
}

// Returns the excluded people, by phone where it is known.
async function excluded(session, { name }) {
  const list = await listed(session, name);
  const mapping = session.sock.signalRepository.lidMapping;
  const people = childrenOf(list).map(({ attrs }) => attrs.pn_jid ?? attrs.jid).filter(Boolean);
  return Promise.all(people.map(async (jid) => bare((isLid(jid) && (await mapping.getPNForLID(jid))) || jid)));
}

// Changes who is excluded; WhatsApp checks that the list is the one that was read (`dhash`).
async function exclude(session, { name, value, changes }) {
  const dhash = (await listed(session, name))?.attrs?.dhash;
  const category = { name, value, ...(dhash ? { dhash } : {}) };
  const users = changes.map(({ action, jid }) => ({ tag: 'user', attrs: { action, jid } }));
  await session.sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', type: 'set', xmlns: 'privacy' },
    content: [{ tag: 'privacy', attrs: {}, content: [{ tag: 'category', attrs: category, content: users }] }],
  });
}

export const ADDRESS_BOOK = { save_contact, remove_contact, report, excluded, exclude };

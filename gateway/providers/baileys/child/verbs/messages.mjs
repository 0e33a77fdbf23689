// Sending, and what is done to one message.

import { randomBytes } from 'node:crypto';

import { bare, isChannel, isGroup, jidOf } from '../jids.mjs';
import { failed, failureOf, limited } from '../limits.mjs';
import { extrasOf } from '../stanza_extras.mjs';

const STATUS = 'status@broadcast';
const NOT_LEFT = 'WhatsApp did not answer a question that the message needed, so it has not left';

// Sends a message under its id; returns when WhatsApp has acknowledged it.
async function send(session, { chat, id, message: fields, seconds }) {
  if (!session.connected) throw failed('NotConnected', 'not connected');
  const end = performance.now() + seconds * 1000;
  const remaining = () => (end - performance.now()) / 1000;
  const message = session.messages.fromJson(fields);
  const sending = { encrypted: isChannel(chat), left: false };
  session.secrets.keep(id, message);
  const answer = session.sent.answer(id, message, JSON.stringify(fields).length);
  const gaveUp = () => failed(sending.left ? 'NoAnswer' : 'NotConnected', 'no answer of WhatsApp');
  const relayed = session.sending.run(sending, () => relay(session, chat, id, message));
  try {
    await limited(remaining(), relayed);
  } catch (error) {
    session.sent.forget(id);
    if (error.failure === 'NoAnswer') {
      // It waits for an answer and holds up what is sent after it; the connection is dead.
      relayed.catch(() => {});
      session.reconnect();
      throw gaveUp();
    }
    if (sending.left) throw gaveUp();
    const failure = failureOf(error);
    if (failure === 'NotConnected') throw error;
    // Whoever refuses a question does not refuse the message.
    throw failed('NotLeft', failure === 'NoAnswer' ? NOT_LEFT : String(error?.message ?? error));
  }
  const attrs = await limited(remaining(), answer).catch(() => {
    if (!sending.left) session.reconnect(); // or it would leave later, and again from the queue
    return null;
  });
  session.sent.forget(id);
  if (attrs === null) throw gaveUp();
  if (attrs.error) throw failed(`Code${attrs.error}`, `server returned error ${attrs.error}`);
  return { id, timestamp: attrs.t };
}

async function relay(session, chat, id, message) {
  const people = chat === STATUS ? { statusJidList: await statusReaders(session) } : {};
  return session.sock.relayMessage(chat, message, {
    messageId: id,
    ...extrasOf(message, chat, session),
    ...people,
  });
}

// A status goes to the people in the phone's address book, and to own devices.
async function statusReaders(session) {
  return [...(await session.contacts()), bare(session.me.id)];
}

async function revoke(session, { id, chat, sender }) {
  const mine = !sender || bare(sender) === bare(session.me.id);
  const key = { remoteJid: chat, id, fromMe: mine };
  if (!mine && isGroup(chat)) key.participant = sender;
  const { proto } = session.library.baileys;
  const message = proto.Message.fromObject({
    protocolMessage: { key, type: proto.Message.ProtocolMessage.Type.REVOKE },
  });
  const name = `3EB0${randomBytes(9).toString('hex').toUpperCase()}`;
  await session.sock.relayMessage(chat, message, { messageId: name, ...extrasOf(message, chat, session) });
}

async function mark_read(session, { ids, chat, sender }) {
  session.watch(chat);
  const participant = isGroup(chat) || chat === STATUS ? sender : undefined;
  await session.sock.sendReceipt(chat, participant, ids, 'read');
}

async function typing(session, { chat, on }) {
  session.watch(chat);
  await session.sock.sendNode({
    tag: 'chatstate',
    attrs: { from: session.me.id, to: chat },
    content: [{ tag: on ? 'composing' : 'paused', attrs: {} }],
  });
}

async function reject_call({ sock }, { caller, call_id }) {
  await sock.sendNode({
    tag: 'call',
    attrs: { from: sock.user.id, to: caller, id: sock.generateMessageTag() },
    content: [{ tag: 'reject', attrs: { 'call-id': call_id, 'call-creator': caller, count: '0' } }],
  });
}

// Returns the bytes of a message of WhatsApp's schema, as base64.
async function serialised({ messages, library }, { kind, fields }) {
  const { proto } = library.baileys;
  const type = kind === 'Message' ? proto.Message : proto.Message[kind];
  return Buffer.from(type.encode(messages.fromJson(fields, type)).finish()).toString('base64');
}

export const MESSAGES = { send, revoke, mark_read, typing, reject_call, serialised };

// Votes: they are encrypted with the secret of their poll, and the addresses of its author and voter.

import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

import { bare, isGroup, isLid } from '../jids.mjs';
import { failed } from '../limits.mjs';

const CIPHER = 'aes-256-gcm';
const TAG_BYTES = 16, NONCE_BYTES = 12, KEY_BYTES = 32;

// Returns a vote for the options of these names; `sender` is null for a poll of this account.
async function poll_vote(session, { id, chat, sender, options }) {
  const secret = await session.secrets.of(id);
  if (!secret) throw failed('NotFound', 'the poll is not known');
  const { id: phone, lid } = session.me;
  const author = sender ?? bare(phone);
  const voter = bare(isLid(author) && lid ? lid : phone);
  const chosen = options.map((name) => createHash('sha256').update(name).digest());
  const { proto } = session.library.baileys;
  const plain = proto.Message.PollVoteMessage.encode({ selectedOptions: chosen }).finish();
  const iv = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyOf(secret, id, author, voter), iv).setAAD(bound(id, voter));
  const payload = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  const key = { remoteJID: chat, fromMe: !sender, ID: id };
  if (sender && isGroup(chat)) key.participant = sender;
  return {
    pollUpdateMessage: {
      pollCreationMessageKey: key,
      vote: { encPayload: payload.toString('base64'), encIV: iv.toString('base64') },
      senderTimestampMS: String(Date.now()),
    },
  };
}

// Returns the hashes of the chosen options, as base64.
async function read_poll_vote(session, { event }) {
  const { pollCreationMessageKey: key, vote } = event.Message.pollUpdateMessage;
  const secret = await session.secrets.of(key.ID);
  if (!secret) throw failed('NotFound', 'the poll is not known');
  const source = event.Info.MessageSource;
  const own = [session.me.id, session.me.lid];
  const voters = await forms(session, source.IsFromMe ? own : [textOf(source.Sender), textOf(source.SenderAlt)]);
  // The key names the author as the voter sees it: `fromMe` is a poll of the voter's own.
  const others = key.participant ? [key.participant] : source.IsFromMe ? [textOf(source.Chat)] : own;
  const authors = await forms(session, key.fromMe ? voters : others);
  for (const author of [...authors, ...(await forms(session, own))]) {
    for (const voter of voters) {
      const plain = opened(vote, keyOf(secret, key.ID, author, voter), bound(key.ID, voter));
      if (plain) return choices(session, plain);
    }
  }
  throw failed('NotReadable', 'the vote cannot be decrypted');
}

function choices({ library }, plain) {
  const { selectedOptions } = library.baileys.proto.Message.PollVoteMessage.decode(plain);
  return selectedOptions.map((option) => Buffer.from(option).toString('base64'));
}

function opened({ encPayload, encIV }, key, bond) {
  const payload = Buffer.from(encPayload, 'base64');
  const end = payload.length - TAG_BYTES;
  try {
    const cipher = createDecipheriv(CIPHER, key, Buffer.from(encIV, 'base64'));
    cipher.setAAD(bond).setAuthTag(payload.subarray(end));
    return Buffer.concat([cipher.update(payload.subarray(0, end)), cipher.final()]);
  } catch {
    return null;
  }
}

// Returns the addresses with the other form, phone or lid, of each.
async function forms({ sock }, jids) {
  const mapping = sock.signalRepository.lidMapping;
  const found = new Set();
  for (const jid of jids.filter(Boolean).map(bare)) {
    found.add(jid);
    const other = await (isLid(jid) ? mapping.getPNForLID(jid) : mapping.getLIDForPN(jid));
    if (other) found.add(bare(other));
  }
  return [...found];
}

const textOf = (jid) => jid && `${jid.User}@${jid.Server}`;
const bound = (id, voter) => Buffer.from(`${id}\0${voter}`);

function keyOf(secret, id, author, voter) {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), `${id}${author}${voter}Poll Vote`, KEY_BYTES));
}

export const POLLS = { poll_vote, read_poll_vote };

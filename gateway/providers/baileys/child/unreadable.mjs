// Sets aside what cannot be read: stores it as it came, for a version of the engine that can.

import { bare, jidOf } from './jids.mjs';

export class Unreadable {
  constructor(library, outbox, keys) {
    this.proto = library.baileys.proto;
    Object.assign(this, { outbox, keys });
  }

  stanza(error, node) {
    const { from, participant } = node?.attrs ?? {};
    this.#add(error, from, participant, { stanza: JSON.parse(this.keys.write(node ?? null)) });
  }

  message(error, message) {
    const { remoteJid, participant } = message.key ?? {};
    const bytes = this.proto.WebMessageInfo.encode(message).finish();
    this.#add(error, remoteJid, participant, { message: Buffer.from(bytes).toString('base64') });
  }

  #add(error, chat, sender, content) {
    const source = { Chat: jidOf(bare(chat)), Sender: jidOf(sender ?? chat) };
    this.outbox.addEvent('Unreadable', { MessageSource: source, error: String(error?.message ?? error), ...content });
  }
}

// The socket to the engine: frames of JSON `[kind, fields]`, each after its length in four bytes.
//
//   engine -> child   Command, answered by Reply     Answer     Deadline
//   child -> engine   Request, answered by Answer    Notice

import net from 'node:net';

const LENGTH_BYTES = 4;

export class Link {
  #socket;
  #handlers;
  #received = [];
  #size = 0;
  #number = 0;
  #waiting = new Map();

  constructor(descriptor, handlers) {
    this.#handlers = handlers;
    this.#socket = new net.Socket({ fd: descriptor, readable: true, writable: true });
    this.#socket.on('data', (part) => this.#take(part));
    this.#socket.on('error', () => process.exit(0));
    this.#socket.on('close', () => process.exit(0));
    this.#socket.on('end', () => process.exit(0));
  }

  reply(number, result, failure = null, text = '') {
    this.#write('Reply', { number, result, failure, text });
  }

  notice(instance_id, name, body) {
    this.#write('Notice', { instance_id, name, body });
  }

  // Returns the engine's answer; throws when the engine refuses, or once the asker is dropped.
  request(instance_id, epoch, what, body, asker = undefined) {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject, asker });
      this.#write('Request', { number, instance_id, epoch, what, body });
    });
  }

  answered({ number, result, refusal }) {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (refusal) waiting?.reject(new Error(refusal));
    else waiting?.resolve(result);
  }

  // Ends the questions of an asker that is closed: the engine answers none of them any more.
  drop(asker) {
    for (const [number, waiting] of this.#waiting) {
      if (waiting.asker !== asker) continue;
      this.#waiting.delete(number);
      waiting.reject(new Error('the session is closed'));
    }
  }

  #write(kind, fields) {
    const body = Buffer.from(JSON.stringify([kind, fields], asJson));
    const head = Buffer.alloc(LENGTH_BYTES);
    head.writeUInt32BE(body.length);
    this.#socket.write(head);
    this.#socket.write(body);
  }

  #take(part) {
    this.#received.push(part);
    this.#size += part.length;
    while (this.#size >= LENGTH_BYTES) {
      const all = this.#received.length === 1 ? this.#received[0] : Buffer.concat(this.#received);
      const end = LENGTH_BYTES + all.readUInt32BE(0);
      this.#received = [all];
      if (all.length < end) return;
      const [kind, fields] = JSON.parse(all.subarray(LENGTH_BYTES, end).toString());
      const rest = all.subarray(end);
      this.#received = rest.length ? [rest] : [];
      this.#size = rest.length;
      this.#handlers[kind](fields);
    }
  }
}

// A sender can put half of a surrogate pair into a text, which is no JSON for the engine.
export const wellFormed = (value) => (typeof value === 'string' ? value.toWellFormed() : value);

const asJson = (_name, value) => (typeof value === 'bigint' ? String(value) : wellFormed(value));

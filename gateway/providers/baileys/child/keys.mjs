// The keys of one session: read through the engine, written through the outbox.

import { AsyncLocalStorage } from 'node:async_hooks';

import { wellFormed } from './link.mjs';

const MAX_CACHED = 2000;
const MAX_CACHED_CHARACTERS = 4_000_000; // the session with one person may have megabytes
export const CREDS = 'creds';

export class Keys {
  #cache = new Map();
  #characters = 0;
  #context = new AsyncLocalStorage();
  #tails = new Map();

  // `read(kind, ids)` returns the stored texts by id.
  constructor(library, outbox, read) {
    const { BufferJSON, proto } = library.baileys;
    const plain = (name, value) => wellFormed(BufferJSON.replacer(name, value));
    this.write = (value) => JSON.stringify(value, plain);
    this.parse = (text) => JSON.parse(text, BufferJSON.reviver);
    this.syncKey = (value) => proto.Message.AppStateSyncKeyData.fromObject(value);
    Object.assign(this, { outbox, read });
  }

  // Puts this store into the object through which the library reads and writes keys. The library's
  // own transactions commit after the frame has left; these write at once, and the outbox commits.
  takeOver(keys) {
    Object.assign(keys, {
      get: (kind, ids) => this.get(kind, ids),
      set: async (data) => this.set(data),
      isInTransaction: () => Boolean(this.#context.getStore()),
      transaction: (work, key) => this.transaction(work, key),
    });
  }

  async get(kind, ids) {
    const texts = new Map();
    // What is in memory now may have left it, or may have been written, when the others are read.
    const look = () => {
      for (const id of ids) if (this.#cache.has(`${kind}/${id}`)) texts.set(id, this.#cache.get(`${kind}/${id}`));
    };
    look();
    const missing = ids.filter((id) => !texts.has(id));
    if (missing.length) {
      const found = await this.read(kind, missing);
      look();
      for (const id of missing) {
        if (texts.has(id)) continue; // written meanwhile
        texts.set(id, found[id] ?? null);
        this.#remember(`${kind}/${id}`, found[id] ?? null);
      }
    }
    const values = {};
    for (const [id, text] of texts) {
      if (text === null) continue;
      const value = this.parse(text);
      values[id] = kind === 'app-state-sync-key' ? this.syncKey(value) : value;
    }
    return values;
  }

  set(data) {
    for (const kind in data) {
      for (const id in data[kind]) {
        const value = data[kind][id];
        const text = value === null || value === undefined ? null : this.write(value);
        this.#remember(`${kind}/${id}`, text);
        this.outbox.addRow(kind, id, text);
      }
    }
  }

  // Runs one piece of work at a time for each key; work inside of work joins it.
  async transaction(work, key) {
    if (this.#context.getStore()) return work();
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(() => this.#context.run(key, work));
    const tail = result.catch(() => {});
    this.#tails.set(key, tail);
    try {
      return await result;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  #remember(name, text) {
    this.#drop(name);
    this.#cache.set(name, text);
    this.#characters += text?.length ?? 0;
    // A row that is not committed yet would be read from Postgres as it was before.
    // The newest row stays: `set` has not handed it to the outbox yet.
    while (this.#cache.size > 1 && this.#isFull() && this.outbox.isIdle) {
      const [oldest] = this.#cache.keys();
      this.#drop(oldest);
    }
  }

  #isFull() {
    return this.#cache.size > MAX_CACHED || this.#characters > MAX_CACHED_CHARACTERS;
  }

  #drop(name) {
    this.#characters -= this.#cache.get(name)?.length ?? 0;
    this.#cache.delete(name);
  }
}

// The keys of one session: read through the engine, written through the outbox.

import { AsyncLocalStorage } from 'node:async_hooks';

import { wellFormed } from './link.mjs';

const MAX_CACHED = 2000;
export const CREDS = 'creds';

export class Keys {
  #cache = new Map();
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
    const missing = ids.filter((id) => !this.#cache.has(`${kind}/${id}`));
    if (missing.length) {
      const found = await this.read(kind, missing);
      for (const id of missing) {
        const name = `${kind}/${id}`;
        if (!this.#cache.has(name)) this.#remember(name, found[id] ?? null); // else written meanwhile
      }
    }
    const values = {};
    for (const id of ids) {
      const text = this.#cache.get(`${kind}/${id}`);
      if (text === null || text === undefined) continue;
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
    this.#cache.delete(name);
    this.#cache.set(name, text);
    // A row that is not committed yet would be read from Postgres as it was before.
    while (this.#cache.size > MAX_CACHED && this.outbox.isIdle) {
      const [oldest] = this.#cache.keys();
      this.#cache.delete(oldest);
    }
  }
}

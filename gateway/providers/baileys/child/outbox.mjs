// What one session has changed and not committed, and the frames that wait for it.
//
// Rows of keys and events go to the engine in one batch, which it writes in one transaction. A frame
// is written to WhatsApp when every row and event from before it is committed. So:
//   - a ratchet that has moved is stored before the message that used it leaves;
//   - a received message is stored together with the keys that decrypted it, before its receipt
//     leaves; if the process ends before that, WhatsApp sends the message again, and the keys that
//     are stored still decrypt it.

export class Outbox {
  #rows = new Map();
  #events = [];
  #later = []; // events that no frame waits for: one leaves with each batch
  #frames = [];
  #device = undefined;
  #pumping = false;
  #closed = false;
  #drained = [];

  // `commit` stores a batch and may throw; `onFailure` ends the session; `mayAct` is its right to.
  constructor({ commit, onFailure, mayAct }) {
    Object.assign(this, { commit, onFailure, mayAct });
  }

  addRow(kind, id, value) {
    this.#rows.set(`${kind}/${id}`, [kind, id, value]);
    this.#wake();
  }

  addEvent(name, body) {
    this.#events.push([name, body]);
    this.#wake();
  }

  // Adds an event that has no keys of its own: many of them make no batch larger.
  addLater(name, body) {
    this.#later.push([name, body]);
    this.#wake();
  }

  setDevice(jid) {
    this.#device = jid;
    this.#wake();
  }

  // Takes a frame of the library; `sending` is the message that may be in it.
  addFrame(bytes, write, sending) {
    if (this.#closed) return;
    this.#frames.push({ bytes, write, sending });
    this.#wake();
  }

  get length() {
    return this.#rows.size + this.#events.length + this.#later.length + this.#frames.length;
  }

  get isIdle() {
    return !this.#pumping && !this.length;
  }

  // Resolves when everything is committed and written, or the outbox is closed.
  drained() {
    if (this.#closed || this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  // Drops frames: their connection is gone. Rows and events stay.
  dropFrames() {
    this.#frames = [];
  }

  close() {
    this.#closed = true;
    this.#finish();
  }

  #wake() {
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    // After the present task: the library sends the receipt of a message just before its event.
    setImmediate(() => this.#pump());
  }

  async #pump() {
    while (!this.#closed && (this.length || this.#device)) {
      const events = [...this.#events, ...this.#later.splice(0, 1)];
      const batch = { rows: [...this.#rows.values()], events, device: this.#device };
      const frames = this.#frames;
      this.#rows = new Map();
      this.#events = [];
      this.#frames = [];
      this.#device = undefined;
      try {
        if (batch.rows.length || batch.events.length || batch.device) await this.commit(batch);
      } catch (error) {
        this.close();
        this.onFailure(error);
        return;
      }
      if (!this.#closed) this.#write(frames);
    }
    this.#finish();
  }

  #write(frames) {
    for (const { bytes, write, sending } of frames) {
      if (!this.mayAct()) return;
      if (sending) sending.left = true;
      write(bytes);
    }
  }

  #finish() {
    this.#pumping = false;
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}

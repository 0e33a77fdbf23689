// Messages that were sent: who waits for WhatsApp's answer, and what a recipient may ask for again.

export class Sent {
  #waiting = new Map();
  #messages = new Map();

  constructor(max) {
    this.max = max;
  }

  message(id) {
    return this.#messages.get(id);
  }

  // Returns the attributes of WhatsApp's answer; null if the connection ends without one.
  answer(id, message) {
    this.#messages.delete(id);
    this.#messages.set(id, message);
    if (this.#messages.size > this.max) this.#messages.delete(this.#messages.keys().next().value);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  acknowledged(attrs) {
    this.#resolve(attrs.id, attrs);
  }

  // A receipt of the recipient proves that the message arrived.
  received(id) {
    this.#resolve(id, {});
  }

  fail() {
    for (const id of [...this.#waiting.keys()]) this.#resolve(id, null);
  }

  forget(id) {
    this.#resolve(id, null);
  }

  #resolve(id, answer) {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}

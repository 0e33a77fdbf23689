// Messages that were sent: who waits for WhatsApp's answer, and what a recipient may ask for again.

export class Sent {
  #waiting = new Map();
  #messages = new Map();
  #characters = 0;

  // Holds the last *max* messages, of *maxCharacters* together: other sessions need the memory, too.
  constructor(max, maxCharacters) {
    Object.assign(this, { max, maxCharacters });
  }

  message(id) {
    return this.#messages.get(id)?.message;
  }

  // Returns the attributes of WhatsApp's answer; null if the connection ends without one.
  answer(id, message, characters) {
    this.#drop(id);
    this.#messages.set(id, { message, characters });
    this.#characters += characters;
    while (this.#messages.size > this.max || (this.#characters > this.maxCharacters && this.#messages.size > 1)) {
      this.#drop(this.#messages.keys().next().value);
    }
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

  #drop(id) {
    this.#characters -= this.#messages.get(id)?.characters ?? 0;
    this.#messages.delete(id);
  }

  #resolve(id, answer) {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}

// The secrets of polls and events, which encrypt what others add to them.

const SECRET = 'message-secret';

export class Secrets {
  constructor(keys) {
    this.keys = keys;
  }

  // Stores the secret of a poll or event, sent or received.
  keep(id, message) {
    const secret = message.messageContextInfo?.messageSecret;
    const isAsked = Object.keys(message).some((name) => name.startsWith('pollCreationMessage') || name === 'eventMessage');
    if (secret?.length && isAsked && message.constructor) {
      this.keys.set({ [SECRET]: { [id]: Buffer.from(secret) } });
    }
  }

  // Returns the secret; undefined where the message is not known.
  async of(id) {
    return (await this.keys.get(SECRET, [id]))[id];
  }
}

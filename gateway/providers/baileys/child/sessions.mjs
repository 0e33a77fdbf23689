// The sessions of this process, and the verbs that the engine runs on them.

import { Messages } from './names.mjs';
import { Session } from './session.mjs';
import { failureOf, limited } from './limits.mjs';
import { UNLIMITED, VERBS } from './verbs/index.mjs';

const REQUEST_SECONDS = 40; // of several questions, each of which has a limit of its own

export class Sessions {
  #sessions = new Map();

  constructor(link, library, deadline) {
    this.context = { link, library, deadline, messages: new Messages(library.baileys.proto) };
  }

  async run({ number, instance_id, verb, arguments: given }) {
    const { link } = this.context;
    try {
      link.reply(number, (await this.#run(instance_id, verb, given)) ?? null);
    } catch (error) {
      link.reply(number, null, failureOf(error), String(error?.message ?? error));
    }
  }

  async #run(instanceId, verb, given) {
    if (verb === 'ready') return { rss: process.memoryUsage.rss(), node: process.version };
    if (verb === 'open') {
      await this.#sessions.get(instanceId)?.close();
      const session = new Session(instanceId, given, this.context);
      this.#sessions.set(instanceId, session);
      session.open();
      return null;
    }
    const session = this.#sessions.get(instanceId);
    if (!session) throw Object.assign(new Error('the session is not open'), { name: 'NoSession' });
    if (verb === 'close') {
      this.#sessions.delete(instanceId);
      await session.close();
      return null;
    }
    const work = VERBS[verb](session, given);
    return UNLIMITED.has(verb) ? work : limited(REQUEST_SECONDS, work);
  }
}

// The connection of one instance: opens the library's socket, again and again, and reports.

import { AsyncLocalStorage } from 'node:async_hooks';

import { modifiedChat } from './app_state.mjs';
import { historiesOf } from './history.mjs';
import { bare, isGroup, isLid, isPhone, jidOf } from './jids.mjs';
import { CREDS, Keys } from './keys.mjs';
import { Outbox } from './outbox.mjs';
import { agentsOf } from './proxies.mjs';
import { Secrets } from './secrets.mjs';
import { Sent } from './sending.mjs';
import { callOf, notificationsOf, presenceOf, receiptOf, writingOf } from './stanzas.mjs';
import { Unreadable } from './unreadable.mjs';

const CONTACT = 'contact';
const CONNECTION_ENDED = 428;
const RESTART_REQUIRED = 515;
const ENDS = {
  401: 'LoggedOut', 402: 'TemporaryBan', 403: 'TemporaryBan', 405: 'ClientOutdated', 406: 'LoggedOut',
  409: 'ClientOutdated', 440: 'StreamReplaced',
};
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 60_000;
const MAX_SENT = 200; // messages of which a recipient may still ask for another copy
const MAX_SENT_CHARACTERS = 2_000_000;
const MAX_WATCHED = 1_000;
const PAIRING_ENDED = 408;

export class Session {
  #pause = FIRST_PAUSE_MS;
  #timer;
  #closed = false;
  #isFenced = false;
  #isOver = false;
  #ask;
  #leave;
  #isCatchingUp = true;
  #watchedPeople = new Set();
  #unread = new Map(); // attributes of messages that the library decrypts now

  constructor(instanceId, given, context) {
    const { link, library, deadline } = context;
    this.instanceId = instanceId;
    Object.assign(this, { given, library, messages: context.messages });
    this.sending = new AsyncLocalStorage();
    this.reading = new AsyncLocalStorage(); // the message that the library decrypts now
    this.sent = new Sent(MAX_SENT, MAX_SENT_CHARACTERS);
    this.notice = (name, body = {}) => link.notice(instanceId, name, body);
    this.outbox = new Outbox({
      commit: (batch) => link.request(instanceId, given.epoch, 'commit', batch),
      onFailure: (error) => this.#fail(error),
      mayAct: () => !this.#isFenced && Number(process.hrtime.bigint()) / 1e9 < deadline(),
    });
    // The library does one thing at a time with the keys of a person, for all sessions of the process.
    // A question without an answer would let everything that follows for this person wait for ever.
    this.#ask = async (what, body) => {
      if (this.#isOver) throw new Error('the session is closed');
      return link.request(instanceId, given.epoch, what, body, this);
    };
    this.#leave = () => {
      this.#isOver = true;
      link.drop(this);
    };
    this.keys = new Keys(library, this.outbox, (kind, ids) => this.#ask('keys', { kind, ids }));
    this.secrets = new Secrets(this.keys);
    this.unreadable = new Unreadable(library, this.outbox, this.keys);
    this.creds = given.creds ? this.keys.parse(given.creds) : undefined;
    this.agents = () => agentsOf(library, given.proxy, Boolean(this.creds.account));
  }

  get me() {
    return this.creds.account ? this.creds.me : undefined;
  }

  open() {
    const { baileys, quiet } = this.library;
    this.connected = false;
    this.#watchedPeople.clear();
    // A linking that broke off begins anew.
    if (!this.creds?.account) this.creds = baileys.initAuthCreds();
    const { websocket, media, dispatcher } = this.agents();
    this.sock = baileys.makeWASocket({
      ...(this.given.version ? { version: this.given.version } : {}),
      auth: { creds: this.creds, keys: { get: () => ({}), set: () => {} } },
      makeSignalRepository: (auth, ...rest) => {
        this.keys.takeOver(auth.keys);
        return this.#watched(baileys.DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, ...rest));
      },
      logger: { ...quiet, trace: (said) => this.#onLog(said) },
      browser: [this.given.name, 'Chrome', '1.0'],
      agent: websocket,
      fetchAgent: media,
      options: { dispatcher },
      answerSeconds: this.given.answer_seconds,
      egress: (bytes, write) => this.outbox.addFrame(bytes, write, this.#sendingNow()),
      mustReport: () => this.reading.getStore()?.isReported === false,
      emitOwnEvents: false,
      markOnlineOnConnect: true,
      syncFullHistory: false,
      generateHighQualityLinkPreview: false,
      defaultQueryTimeoutMs: undefined, // `questions` ends them
      getMessage: async ({ id }) => this.sent.message(id),
    });
    this.#tapEvents(this.sock);
    this.#listen(this.sock.ws);
    this.#endIfRefused(this.sock);
  }

  async close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.sent.fail();
    await Promise.race([this.outbox.drained(), pause(2_000)]);
    this.outbox.close();
    await this.#end();
    this.#leave(); // after the connection, so that a message that is not read is not set aside
  }

  // Drops the present connection; the session connects again by itself.
  reconnect() {
    this.sock.end(Object.assign(new Error('no answer'), { output: { statusCode: 408 } }));
  }

  // Asks WhatsApp, once in a connection, to say when a person comes and goes: it says so to those only
  // who have the chat open.
  watch(jid) {
    if (!(isPhone(jid) || isLid(jid)) || this.#watchedPeople.has(jid)) return;
    if (this.#watchedPeople.size >= MAX_WATCHED) this.#watchedPeople.clear();
    this.#watchedPeople.add(jid);
    this.sock.presenceSubscribe(jid).catch(() => this.#watchedPeople.delete(jid));
  }

  // The library listens for an answer that opens no web socket, such as a proxy's, and does nothing
  // with it: the attempt would never end.
  #endIfRefused(sock) {
    sock.ws.on('unexpected-response', (_request, { socket, statusCode }) => {
      const by = socket.encrypted ? 'server' : 'proxy'; // which answers before there is a tunnel
      const refusal = new Error(`Unexpected ${by} response: ${statusCode}`);
      sock.end(Object.assign(refusal, { output: { statusCode: CONNECTION_ENDED } }));
    });
  }

  async #end() {
    try {
      await this.sock?.end(undefined);
    } catch {
      // the library closes what is closed already
    }
  }

  // Marks the message that is being sent: after its encryption, a frame may be the message.
  #watched(repository) {
    for (const name of ['encryptMessage', 'encryptGroupMessage']) {
      const encrypt = repository[name].bind(repository);
      repository[name] = async (...given) => {
        const result = await encrypt(...given);
        const sending = this.sending.getStore();
        if (sending) sending.encrypted = true;
        return result;
      };
    }
    return repository;
  }

  #sendingNow() {
    const sending = this.sending.getStore();
    return sending?.encrypted ? sending : undefined;
  }

  // Sees every event when it is emitted; the library's own listeners get them in batches.
  #tapEvents(sock) {
    const emit = sock.ev.emit.bind(sock.ev);
    sock.ev.emit = (name, data) => {
      const result = emit(name, data);
      // The library says that it is open after some waiting, even if the connection broke meanwhile.
      if (data?.connection !== 'open' || sock.ws.isOpen) this.#onEvent(name, data);
      return result;
    };
  }

  #onEvent(name, data) {
    switch (name) {
      case 'creds.update':
        return this.#onCreds();
      case 'connection.update':
        return this.#onConnection(data);
      case 'messages.upsert':
        return data.messages.forEach((message) => this.#onMessage(message));
      case 'contacts.upsert':
        return data.forEach(({ id, name }) => name && this.outbox.addRow(CONTACT, id, this.keys.write(name)));
      case 'messaging-history.set':
        return this.#onHistory(data);
      default:
        return undefined;
    }
  }

  #onHistory(data) {
    const parts = historiesOf(data, {
      proto: this.library.baileys.proto,
      asJson: (...given) => this.messages.asJson(...given),
      setAside: (error, message) => this.unreadable.message(error, message),
    });
    parts.forEach((part) => this.outbox.addLater('HistorySync', part));
  }

  #onLog(said) {
    const modified = said?.syncAction && modifiedChat(said);
    if (modified) this.outbox.addEvent('ChatModified', modified);
  }

  storeCreds() {
    this.outbox.addRow(CREDS, '', this.keys.write(this.creds));
  }

  // Returns the people in the phone's address book, as far as it was synchronised.
  async contacts() {
    return this.#ask('ids', { kind: CONTACT });
  }

  #onCreds() {
    if (!this.creds.account) return; // not linked yet
    this.storeCreds();
    if (this.device !== this.creds.me.id) {
      this.device = this.creds.me.id;
      this.outbox.setDevice(this.device);
      this.notice('Device', { jid: this.device });
    }
  }

  #onConnection({ connection, qr, lastDisconnect }) {
    if (qr) this.notice('QrShown', { text: qr });
    if (connection === 'open') {
      if (!this.connected) this.#report();
      this.#becomeAvailable();
    }
    if (connection === 'close') this.#onClose(lastDisconnect?.error);
  }

  // WhatsApp sends messages from now on; the library says that it is open only after some queries.
  // No one can write to a new device before these: they give WhatsApp its keys.
  #onLogin({ attrs }) {
    this.lid = attrs.lid;
    if (this.creds.firstUnuploadedPreKeyId > 1) this.#report();
  }

  #report() {
    this.connected = true;
    this.#pause = FIRST_PAUSE_MS;
    this.notice('Connected', { lid: bare(this.lid) });
  }

  // Shows this device as available. Otherwise others see one tick for what they send. The library
  // does it only once the name is known, which is after the first synchronisation.
  #becomeAvailable() {
    this.sock.ev.emit('connection.update', { isOnline: true });
    if (!this.creds.me.name) this.sock.sendNode({ tag: 'presence', attrs: { type: 'available' } }).catch(() => {});
  }

  #onClose(error) {
    const code = error?.output?.statusCode;
    const wasConnected = this.connected;
    this.connected = false;
    this.outbox.dropFrames();
    this.sent.fail();
    if (this.#closed) return;
    if (ENDS[code]) return void this.notice(ENDS[code]);
    if (!this.creds.account && code === PAIRING_ENDED) return void this.notice('LinkingEnded');
    if (code === RESTART_REQUIRED) return void setImmediate(() => this.#closed || this.open());
    this.notice(wasConnected ? 'Disconnected' : 'Unreachable', { error: String(error?.data?.message ?? error?.message ?? '') });
    this.#timer = setTimeout(() => this.open(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, MAX_PAUSE_MS);
  }

  // The engine refused a write of keys: an older epoch, or a row that cannot be stored.
  #fail(error) {
    this.#isFenced = this.#closed = true;
    clearTimeout(this.#timer);
    this.sent.fail();
    this.#end().then(this.#leave);
    this.notice('Failed', { error: String(error?.message ?? error) });
  }

  #listen(ws) {
    const store = (read) => (node) => {
      try {
        read(node).forEach(([name, body]) => this.outbox.addEvent(name, body));
      } catch (error) {
        this.unreadable.stanza(error, node);
      }
    };
    ws.on('CB:ack,class:message', ({ attrs }) => this.sent.acknowledged(attrs));
    ws.prependListener('CB:success', (node) => ws.isOpen && this.#onLogin(node));
    this.#isCatchingUp = true;
    ws.on('CB:ib,,offline', () => {
      this.#isCatchingUp = false;
    });
    const listeners = ws.listeners('CB:message');
    ws.removeAllListeners('CB:message');
    let last = Promise.resolve();
    ws.on('CB:message', (node) => {
      last = this.#receive(node, { ws, listeners, last }).catch((error) => {
        Promise.reject(error); // is reported as unhandled; the next message is read nevertheless
      });
    });
    // Before the library's own listeners, which end in acknowledgements.
    ws.prependListener('CB:receipt', store((node) => this.#receipts(node)));
    ws.prependListener('CB:notification', store(notificationsOf));
    ws.prependListener('CB:call', store((node) => [callOf(node)].filter(Boolean)));
    ws.on('CB:presence', store((node) => [['Presence', presenceOf(node)]]));
    ws.on('CB:chatstate', store((node) => [['ChatPresence', writingOf(node)]]));
  }

  #receipts(node) {
    const receipt = receiptOf(node, this.me);
    if (!receipt) return [];
    receipt.MessageIDs.forEach((id) => this.sent.received(id));
    return [['Receipt', receipt]];
  }

  // Hands messages to the library one after the other, in the order in which WhatsApp sent them. The
  // library itself lets a new one overtake those that waited for the login (`offline`), and one whose
  // sender it knows overtake one whose sender it looks up.
  async #receive(node, { ws, listeners, last }) {
    const { offline, ...attrs } = node.attrs;
    const mayBeStored = this.#isCatchingUp || offline;
    let key;
    try {
      this.#remember(node);
      ({ key } = this.library.decodeMessageNode(node, this.creds.me.id, this.creds.me.lid ?? '').fullMessage);
    } catch (error) {
      this.unreadable.stanza(error, node); // the library refuses it, so that WhatsApp does not send it again
    }
    await last;
    if (!ws.isOpen) return; // WhatsApp sends it again after the next login
    try {
      const stored = key && mayBeStored && (await this.#receiptOfStored(node, key));
      if (stored) await this.sock.sendReceipt(...stored);
      else await this.reading.run({ isReported: false }, () => Promise.all(listeners.map((read) => read({ ...node, attrs }))));
    } catch (error) {
      // Where the connection broke, WhatsApp sends it again after the login.
      if (key && ws.isOpen) this.unreadable.stanza(error, node);
    }
  }

  // Returns the receipt of a message that is stored and of which only the receipt was lost: its keys
  // are used up, and the library would refuse it. WhatsApp sends such messages after a login only.
  async #receiptOfStored(node, key) {
    const information = { ID: key.id, MessageSource: this.#sourceOf(key, node.attrs) };
    if (!(await this.#ask('stored', { Info: information }))) return undefined;
    const kind = node.attrs.category === 'peer' ? 'peer_msg' : key.fromMe ? 'sender' : undefined;
    return [key.remoteJid, key.participant, [key.id], kind];
  }

  #remember({ attrs }) {
    if (this.#unread.size > MAX_SENT) this.#unread.clear();
    this.#unread.set(attrs.id, attrs);
  }

  #onMessage(message) {
    const { key } = message;
    const reading = this.reading.getStore();
    if (reading) reading.isReported = true;
    const attrs = this.#unread.get(key.id) ?? {};
    const waits = message.messageStubType === this.library.baileys.proto.WebMessageInfo.StubType.CIPHERTEXT;
    if (!waits && !message.message) return; // a change of a group, which `stanzas` reads
    const information = {
      ID: key.id,
      Timestamp: String(message.messageTimestamp ?? 0),
      Pushname: message.pushName,
      MessageSource: this.#sourceOf(key, attrs),
    };
    if (waits) return void this.outbox.addEvent('UndecryptableMessage', { Info: information, ...hidden(attrs) });
    this.#unread.delete(key.id);
    this.secrets.keep(key.id, message.message);
    // A copy that was asked for may be of a message that was stored before its receipt could leave.
    const again = message.retryCount ? { IsCopy: true } : {};
    try {
      this.outbox.addEvent('Message', { Info: information, Message: this.messages.asJson(message.message), ...again });
    } catch (error) {
      this.unreadable.message(error, message);
    }
  }

  #sourceOf(key, attrs) {
    const inGroup = isGroup(key.remoteJid) || key.remoteJid === 'status@broadcast';
    const other = attrs.recipient_pn ?? attrs.recipient_lid ?? attrs.peer_recipient_pn ?? attrs.peer_recipient_lid;
    const sender = inGroup ? key.participant : key.fromMe ? this.me?.id : key.remoteJid;
    const alternative = inGroup ? key.participantAlt : key.fromMe ? undefined : key.remoteJidAlt;
    return {
      Chat: jidOf(bare(key.remoteJid)),
      Sender: jidOf(sender),
      SenderAlt: jidOf(bare(alternative)),
      RecipientAlt: key.fromMe ? jidOf(bare(other)) : undefined,
      IsFromMe: Boolean(key.fromMe),
      IsGroup: inGroup,
    };
  }
}

const hidden = (attrs) => (attrs['decrypt-fail'] === 'hide' ? { DecryptFailMode: 'DECRYPT_FAIL_HIDE' } : {});
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref());

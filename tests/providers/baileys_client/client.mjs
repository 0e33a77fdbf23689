// WhatsApp clients of Baileys for tests: commands come on stdin and answers leave on stdout, one
// JSON object a line. Bytes are base64 strings with the prefix `base64:` in both directions.
//
//   {"number": 1, "verb": "open", "name": "ana"}      ->  {"number": 1, "result": null}
//                                                         {"name": "ana", "event": "qr", ...}
import fs from 'node:fs'
import https from 'node:https'
import readline from 'node:readline'
import tls from 'node:tls'

// libsignal prints keys to the console, which would break the protocol on stdout.
for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = () => {}

const baileys = await import('baileys')
const { WA_CERT_DETAILS } = await import('./node_modules/baileys/lib/Defaults/index.js')
// Its communities log to stdout by a logger of their own.
const { default: ownLogger } = await import('./node_modules/baileys/lib/Utils/logger.js')
const { default: pino } = await import('pino')
const { Agent } = await import('undici')

const SERVER = JSON.parse(process.env.FAKE_WHATSAPP)
const LOGGED_OUT = baileys.DisconnectReason.loggedOut
const RESTART = baileys.DisconnectReason.restartRequired
const logger = pino({ level: process.env.BAILEYS_LOG ?? 'silent' }, process.stderr)
ownLogger.level = 'silent'
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(SERVER.root, 'hex')

const authority = fs.readFileSync(SERVER.authority)
const connectTo = (host, done) =>
  tls.connect({ host: '127.0.0.1', port: Number(SERVER.port), servername: host, ca: authority,
    ALPNProtocols: ['http/1.1'] }, done)
const agent = new https.Agent({ keepAlive: false })
agent.createConnection = options => connectTo(options.servername || options.host)
const dispatcher = new Agent({
  connect: (options, done) => {
    const socket = connectTo(options.servername || options.hostname, () => done(null, socket))
    socket.once('error', error => done(error))
  }
})

const PREFIX = 'base64:'
const isBytes = value => value instanceof Uint8Array
function plain(value) {
  if (value === undefined || value === null) return null
  if (isBytes(value)) return PREFIX + Buffer.from(value).toString('base64')
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object') return typeof value === 'function' ? null : value
  if (baileys.proto.Message.prototype.isPrototypeOf(value)) return message(value)
  if (typeof value.toNumber === 'function') return value.toNumber()
  if (value instanceof Error) return { error: String(value.message) }
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]))
}
// With the names of enums, as the JSON of protobuf has them; whatsmeow's side compares with that.
function message(content) {
  const fields = baileys.proto.Message.toObject(content, { enums: String, longs: Number })
  return plain(fields)
}
function given(value) {
  if (typeof value === 'string' && value.startsWith(PREFIX)) {
    return Buffer.from(value.slice(PREFIX.length), 'base64')
  }
  if (Array.isArray(value)) return value.map(given)
  if (value === null || typeof value !== 'object') return value ?? undefined
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, given(each)]))
}
const write = line => process.stdout.write(JSON.stringify(line) + '\n')

class Client {
  constructor(name) {
    this.name = name
    this.creds = baileys.initAuthCreds()
    this.keys = new Map()
    this.received = new Map()
    this.sent = new Map()
  }

  // As JSON, so that a client shares no object with the store.
  get store() {
    const { keys } = this
    return {
      get: async (kind, ids) => Object.fromEntries(ids.filter(id => keys.has(`${kind}/${id}`)).map(id => {
        const value = JSON.parse(keys.get(`${kind}/${id}`), baileys.BufferJSON.reviver)
        if (kind !== 'app-state-sync-key') return [id, value]
        return [id, baileys.proto.Message.AppStateSyncKeyData.fromObject(value)]
      })),
      set: async kinds => {
        for (const [kind, values] of Object.entries(kinds)) {
          for (const [id, value] of Object.entries(values)) {
            if (value) keys.set(`${kind}/${id}`, JSON.stringify(value, baileys.BufferJSON.replacer))
            else keys.delete(`${kind}/${id}`)
          }
        }
      }
    }
  }

  open() {
    this.closing = false
    const { name } = this
    const socket = baileys.makeWASocket({
      auth: { creds: this.creds, keys: baileys.makeCacheableSignalKeyStore(this.store, logger) },
      logger, agent, fetchAgent: agent, options: { dispatcher }, markOnlineOnConnect: true,
      browser: ['Reader', 'Chrome', '1.0'], syncFullHistory: false,
      appStateMacVerification: { patch: true, snapshot: true },
      getMessage: async key => this.sent.get(key.id)
    })
    this.socket = socket
    socket.ws.on('CB:message', node => write({ name, event: 'stanza', ...outline(node) }))
    socket.ws.on('CB:ack,class:message', ({ attrs }) =>
      write({ name, event: 'ack', id: attrs.id, error: attrs.error ?? null }))
    socket.ev.process(async events => {
      for (const [kind, body] of Object.entries(events)) {
        if (kind === 'creds.update') Object.assign(this.creds, body)
        else if (kind === 'connection.update') this.connectionChanged(body)
        else if (kind === 'messages.upsert') for (const each of body.messages) this.arrived(each)
        else write({ name, event: kind, body: plain(body) })
      }
    })
  }

  connectionChanged({ connection, qr, lastDisconnect }) {
    const { name } = this
    if (qr) write({ name, event: 'qr', code: qr })
    if (connection === 'open') write({ name, event: 'open' })
    if (connection !== 'close') return
    const code = lastDisconnect?.error?.output?.statusCode ?? null
    if (code === RESTART && !this.closing) return this.open()
    write({ name, event: 'closed', code, last: code === LOGGED_OUT })
  }

  arrived(each) {
    this.received.set(each.key.id, each)
    write({ name: this.name, event: 'message', key: plain(each.key), pushName: each.pushName ?? null,
      stub: plain(each.messageStubParameters), content: each.message ? message(each.message) : null,
      type: each.message ? baileys.getContentType(each.message) : null })
  }
}

// A stanza without what it contains, which is ciphertext.
const outline = node => ({
  tag: node.tag,
  attrs: plain(node.attrs),
  children: Array.isArray(node.content) ? node.content.map(outline) : []
})

const clients = new Map()
const verbs = {
  open: ({ name }) => {
    if (!clients.has(name)) clients.set(name, new Client(name))
    clients.get(name).open()
  },
  close: ({ name }) => {
    const client = clients.get(name)
    client.closing = true
    client.socket.end(undefined)
  },
  copy: ({ name, original }) => {
    // Another client of the same linked device.
    const copy = new Client(name)
    const { creds, keys } = clients.get(original)
    copy.creds = JSON.parse(JSON.stringify(creds, baileys.BufferJSON.replacer), baileys.BufferJSON.reviver)
    copy.keys = new Map(keys)
    clients.set(name, copy)
  },
  call: async ({ name, method, args }) => clients.get(name).socket[method](...args),
  send: async ({ name, to, content, options }) => {
    const client = clients.get(name)
    const sent = await client.socket.sendMessage(to, content, options)
    client.sent.set(sent.key.id, sent.message)
    return sent.key
  },
  query: ({ name, node }) => clients.get(name).socket.query(node),
  download: async ({ name, id }) => {
    const client = clients.get(name)
    return baileys.downloadMediaMessage(client.received.get(id), 'buffer', { options: { dispatcher } },
      { logger, reuploadRequest: client.socket.updateMediaMessage })
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { number, verb, ...rest } = JSON.parse(line)
  // No await: a command may wait for what a later one does.
  Promise.resolve().then(() => verbs[verb](given(rest)))
    .then(result => write({ number, result: plain(result) }))
    .catch(error => write({ number, error: String(error?.message ?? error),
      code: typeof error?.data === 'number' ? error.data : error?.output?.statusCode ?? null }))
}
process.exit(0)

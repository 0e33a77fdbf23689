// What people write around Baileys for themselves: a route that calls `sendMessage` of the socket of
// a number, and a callback when that returns. `compare_phones` measures it.
//
// It has no queue: a text that arrives while its number is offline, or whose process ends, is lost.
// Keys are files in FOLDER, as in the guide of the library. Without one they are in memory, which
// shows what the files cost: each number must be linked again then after a restart.
//
//     node other_baileys.mjs PACKAGES PORT [FOLDER]

import { createServer } from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [packages, port, folder] = process.argv.slice(2);
const { CALLBACK_URL, TOKEN, HTTPS_PROXY, FAKE_WHATSAPP_ROOT } = process.env;
const at = (file) => import(pathToFileURL(path.join(packages, 'node_modules', file)).href);
const baileys = await at('baileys/lib/index.js');
const { WA_CERT_DETAILS } = await at('baileys/lib/Defaults/index.js');
const { HttpsProxyAgent } = await at('https-proxy-agent/dist/index.js');
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(FAKE_WHATSAPP_ROOT, 'hex'); // of the fake WhatsApp
for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = () => {}; // libsignal's

const logger = { level: 'silent', child: () => logger };
for (const name of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) logger[name] = () => {};

const numbers = new Map(); // what each instance has: its socket, and the code to scan

function inMemory() {
  const stored = new Map();
  const keys = {
    get: (kind, ids) => Object.fromEntries(ids.map((id) => [id, stored.get(`${kind} ${id}`)])),
    set: (kinds) => {
      for (const [kind, values] of Object.entries(kinds)) {
        for (const [id, value] of Object.entries(values)) stored.set(`${kind} ${id}`, value ?? undefined);
      }
    },
  };
  return { state: { creds: baileys.initAuthCreds(), keys }, saveCreds: () => {} };
}

async function connect(id) {
  const earlier = numbers.get(id)?.auth;
  const auth = folder ? await baileys.useMultiFileAuthState(path.join(folder, id)) : earlier ?? inMemory();
  const { state, saveCreds } = auth;
  const keys = baileys.makeCacheableSignalKeyStore(state.keys, logger);
  const socket = baileys.makeWASocket({
    auth: { creds: state.creds, keys }, logger, agent: new HttpsProxyAgent(HTTPS_PROXY),
    markOnlineOnConnect: false, syncFullHistory: false,
  });
  const number = { auth, socket, isOpen: false };
  numbers.set(id, number);
  socket.ev.on('creds.update', saveCreds);
  socket.ev.on('connection.update', ({ connection, qr, lastDisconnect }) => {
    number.code = qr ?? number.code;
    if (connection === 'open') number.isOpen = true;
    const isLast = lastDisconnect?.error?.output?.statusCode === baileys.DisconnectReason.loggedOut;
    if (connection === 'close' && !isLast) connect(id);
  });
}

async function sendText(id, { phone, message }) {
  const { socket } = numbers.get(id);
  const { key } = await socket.sendMessage(`${phone}@s.whatsapp.net`, { text: message });
  const body = { type: 'DeliveryCallback', instanceId: id, messageId: key.id, phone };
  fetch(CALLBACK_URL, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  }).then((answer) => answer.text(), () => {});
  return { messageId: key.id };
}

async function answer(id, verb, body) {
  if (verb === 'send-text') return sendText(id, JSON.parse(body));
  if (!numbers.has(id)) await connect(id);
  const { isOpen, code } = numbers.get(id);
  return verb === 'status' ? { connected: isOpen } : { value: code };
}

const server = createServer(async (request, response) => {
  const [, , id, , token, verb] = request.url.split('/');
  const parts = [];
  for await (const part of request) parts.push(part);
  let [status, result] = [404, {}];
  if (token === TOKEN) {
    try {
      [status, result] = [200, await answer(id, verb, Buffer.concat(parts))];
    } catch (error) {
      [status, result] = [500, { error: String(error?.message) }];
    }
  }
  const text = JSON.stringify(result);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
});
// A busy machine, and a load that rests, take longer than the defaults.
Object.assign(server, { keepAliveTimeout: 600_000, headersTimeout: 0, requestTimeout: 0 });
server.listen(Number(port), '127.0.0.1');

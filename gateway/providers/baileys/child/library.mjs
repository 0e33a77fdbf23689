// The library, from the folder of packages that `gateway providers install` makes.
//
// Five things of it are changed here, by what it exports and imports:
//   - a history that a phone sends inflates to a limit: a few bytes would else fill the machine;
//   - a question to WhatsApp ends, in `questions`;
//   - frames leave through `egress` of the socket's configuration, which holds them back;
//   - a connection that breaks while a message is decrypted seems to be open until the message is
//     reported (`mustReport`): otherwise the library would drop the message, whose keys are used up,
//     because its receipt cannot leave;
//   - a signal repository gets a store of keys whose writes are committed before frames leave.

import { createRequire, syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';

import { endQuestions } from './questions.mjs';

const MAX_INFLATED_BYTES = 64 * 1024 * 1024;

// Must run before the library is loaded, which keeps the functions of `zlib`.
function limitInflation() {
  const { createInflate, inflate } = zlib;
  zlib.inflate = (bytes, done) => inflate(bytes, { maxOutputLength: MAX_INFLATED_BYTES }, done);
  const limited = (...given) => {
    const stream = createInflate(...given);
    const push = stream.push.bind(stream);
    let left = MAX_INFLATED_BYTES;
    stream.push = (part, ...further) => {
      left -= part?.length ?? 0;
      if (left >= 0) return push(part, ...further);
      stream.destroy(new Error('the content inflates to more than the limit'));
      return false;
    };
    return stream;
  };
  Object.defineProperty(zlib, 'createInflate', { value: limited }); // it cannot be assigned to
  syncBuiltinESMExports();
}

export async function loadLibrary(packages) {
  limitInflation();
  const modules = path.join(packages, 'node_modules');
  const at = (file) => import(pathToFileURL(path.join(modules, file)).href);
  const require = createRequire(path.join(modules, 'index.js'));
  const baileys = await at('baileys/lib/index.js');
  const { WebSocketClient } = await at('baileys/lib/Socket/Client/websocket.js');
  const { HttpsProxyAgent } = await at('https-proxy-agent/dist/index.js');
  const { SocksProxyAgent } = await at('socks-proxy-agent/dist/index.js');
  const { extractGroupMetadata } = await at('baileys/lib/Socket/groups.js');
  const { decodeMessageNode } = await at('baileys/lib/Utils/decode-wa-message.js');
  const undici = require('undici');

  endQuestions(WebSocketClient);
  const { send, close } = WebSocketClient.prototype;
  WebSocketClient.prototype.send = function (bytes, done) {
    this.config.egress(bytes, (frame) => send.call(this, frame, () => {}));
    done?.(); // the library goes on; `egress` knows whether the frame has left
  };
  const { get: isOpen } = Object.getOwnPropertyDescriptor(WebSocketClient.prototype, 'isOpen');
  Object.defineProperty(WebSocketClient.prototype, 'isOpen', {
    get() {
      return isOpen.call(this) || this.config.mustReport();
    },
  });
  WebSocketClient.prototype.close = function () {
    const { socket } = this;
    const closed = close.call(this);
    socket?.terminate(); // a server that is gone would let the handshake of closing wait
    return closed;
  };
  return { baileys, HttpsProxyAgent, SocksProxyAgent, undici, decodeMessageNode, extractGroupMetadata, quiet: quietLogger() };
}

// The library logs whole messages; nothing of that may be stored.
function quietLogger() {
  const logger = { level: 'silent', child: () => logger };
  for (const name of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) logger[name] = () => {};
  return logger;
}

// The library, from the folder of packages that `gateway providers install` makes.
//
// Three things of it are changed here, all by what it exports:
//   - frames leave through `egress` of the socket's configuration, which holds them back;
//   - a connection that breaks while a message is decrypted seems to be open until the message is
//     reported (`mustReport`): otherwise the library would drop the message, whose keys are used up,
//     because its receipt cannot leave;
//   - a signal repository gets a store of keys whose writes are committed before frames leave.

import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

export async function loadLibrary(packages) {
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

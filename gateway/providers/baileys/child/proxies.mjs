// How a session reaches WhatsApp: directly, or through an HTTP, HTTPS or SOCKS5 proxy.

import { EventEmitter, once } from 'node:events';
import https from 'node:https';

const PROXY_SECONDS = 15; // less than a caller waits for a QR code: the answer names the proxy

// Returns the agents of the connection (`websocket`) and of files (`media`), and the `dispatcher` of
// the library's own downloads: of the history, and of a large app state. `proxy` is the instance's;
// without one, the environment's variables count.
export function agentsOf(library, proxy, isLinked) {
  const { env } = process;
  const shared = env.HTTPS_PROXY ?? env.https_proxy ?? env.ALL_PROXY ?? env.all_proxy;
  if (!proxy) return through(library, shared, shared);
  const url = proxy.only_login && isLinked ? undefined : proxy.proxy_url;
  return through(library, proxy.no_websocket ? undefined : url, proxy.no_media ? undefined : url);
}

function through(library, websocket, media) {
  const agent = (url) => (url ? proxyAgent(library, url) : new https.Agent({ keepAlive: true }));
  const dispatcher = media ? dispatcherOf(library, proxyAgent(library, media)) : undefined;
  return { websocket: agent(websocket), media: agent(media), dispatcher };
}

function proxyAgent({ HttpsProxyAgent, SocksProxyAgent }, url) {
  const { protocol } = new URL(url);
  if (!protocol.startsWith('socks')) return endingAgent(HttpsProxyAgent, url);
  // socks5h: the proxy resolves names, as it does for HTTP
  return new SocksProxyAgent(protocol === 'socks5:' ? url.replace(/^[^:]+/, 'socks5h') : url);
}

// The library downloads by `fetch`, whose own proxies know neither SOCKS nor what an agent does.
function dispatcherOf({ undici }, agent) {
  const connect = (target, done) => tunnel(agent, target).then((socket) => done(null, socket), done);
  return new undici.Agent({ connect });
}

async function tunnel(agent, { hostname, port, servername }) {
  const target = { host: hostname, port: Number(port) || 443, secureEndpoint: true, servername: servername || hostname };
  const request = Object.assign(new EventEmitter(), { destroy: () => {} }); // agents want one
  const socket = await agent.connect(request, target);
  if (!socket.encrypted) throw new Error('Proxy refused the tunnel'); // its answer, in place of one
  await once(socket, 'secureConnect');
  return socket;
}

// By itself the agent waits without an end for a proxy that takes a connection and says nothing.
function endingAgent(HttpsProxyAgent, url) {
  const agent = new HttpsProxyAgent(url);
  const { connectOpts } = agent;
  const connect = agent.connect.bind(agent);
  agent.connect = async (...given) => {
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(new Error('the proxy did not answer in time')), PROXY_SECONDS * 1000);
    agent.connectOpts = { ...connectOpts, signal: end.signal };
    try {
      return await connect(...given);
    } catch (error) {
      throw end.signal.aborted ? end.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  };
  return agent;
}

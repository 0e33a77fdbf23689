// How a session reaches WhatsApp: directly, or through an HTTP, HTTPS or SOCKS5 proxy.

import https from 'node:https';

const PROXY_SECONDS = 15; // whoever waits for a QR code hears of the proxy before being told that none came

// Returns the agents of the connection (`websocket`) and of files (`media`), and the `dispatcher` of
// the library's own downloads, which are of the history alone. `proxy` is the instance's; without
// one, the environment's variables count.
export function agentsOf(library, proxy, isLinked) {
  const { env } = process;
  const shared = env.HTTPS_PROXY ?? env.https_proxy ?? env.ALL_PROXY ?? env.all_proxy;
  if (!proxy) return through(library, shared, shared);
  const url = proxy.only_login && isLinked ? undefined : proxy.proxy_url;
  return through(library, proxy.no_websocket ? undefined : url, proxy.no_media ? undefined : url);
}

function through({ HttpsProxyAgent, SocksProxyAgent, undici }, websocket, media) {
  const agent = (url) => {
    if (!url) return new https.Agent({ keepAlive: true });
    // socks5h: the proxy resolves names, as it does for HTTP
    return url.startsWith('socks') ? new SocksProxyAgent(url.replace('socks5:', 'socks5h:')) : endingAgent(HttpsProxyAgent, url);
  };
  const dispatched = media && !media.startsWith('socks') ? new undici.ProxyAgent(media) : undefined;
  return { websocket: agent(websocket), media: agent(media), dispatcher: dispatched };
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

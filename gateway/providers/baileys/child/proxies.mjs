// How a session reaches WhatsApp: directly, or through an HTTP, HTTPS or SOCKS5 proxy.

import https from 'node:https';

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
    return url.startsWith('socks') ? new SocksProxyAgent(url.replace('socks5:', 'socks5h:')) : new HttpsProxyAgent(url);
  };
  const dispatched = media && !media.startsWith('socks') ? new undici.ProxyAgent(media) : undefined;
  return { websocket: agent(websocket), media: agent(media), dispatcher: dispatched };
}

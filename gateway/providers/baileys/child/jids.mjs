// Addresses, in the form in which the engine reads them: user, device and server apart.

export function jidOf(text) {
  if (!text) return undefined;
  const at = text.lastIndexOf('@');
  const [name, device] = text.slice(0, at).split(':');
  return { User: name.split('_')[0], Device: Number(device ?? 0), Server: text.slice(at + 1) };
}

export const bare = (text) => {
  const jid = jidOf(text);
  return jid && `${jid.User}@${jid.Server}`;
};
export const isGroup = (jid) => jid?.endsWith('@g.us') ?? false;
export const isLid = (jid) => jid?.endsWith('@lid') ?? false;
export const isPhone = (jid) => jid?.endsWith('@s.whatsapp.net') ?? false;
export const isChannel = (jid) => jid?.endsWith('@newsletter') ?? false;

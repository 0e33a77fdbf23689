// The JSON form of WhatsApp's messages, in the names of WhatsApp's own schema.
//
// The library spells the fields otherwise: `jpegThumbnail` is `JPEGThumbnail`, `stanzaId` is
// `stanzaID`. Both are the same apart from the case of letters.

const ACRONYMS = new Set(['id', 'jid', 'json', 'jpeg', 'sha256', 'ms', 'ts', 'iv', 'mac', 'cdn', 'ptt', 'hmac']);
const PLURALS = { ids: 'IDs', urls: 'URLs' };
const WHOLE = new Set(['url', 'fbid']); // at the start of a longer name they stay as they are
const UNCHANGED = new Set(['mac']);
const MAX_LEVELS = 250; // far more than any message has, and far fewer than the engine reads
const WORDS = /[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])/g;

export function schemaName(name) {
  if (UNCHANGED.has(name)) return name;
  const words = name.match(WORDS) ?? [name];
  return words.map((word, place) => spelled(word, place, words.length)).join('');
}

function spelled(word, place, count) {
  const lower = word.toLowerCase();
  if (PLURALS[lower]) return PLURALS[lower];
  if (ACRONYMS.has(lower)) return lower.toUpperCase();
  if (lower === 'url' && (place > 0 || count === 1)) return 'URL';
  return WHOLE.has(lower) && count === 1 ? lower.toUpperCase() : word;
}

export class Messages {
  #names = new Map();

  constructor(proto) {
    this.proto = proto;
    collectNames(proto, this.#names, new Set());
  }

  // Returns a message of the library as JSON: bytes as base64, 64-bit numbers as strings.
  asJson(message, type = this.proto.Message) {
    const plain = type.toObject(message, { longs: String, enums: String, bytes: String });
    return renamed(plain, schemaName);
  }

  // Returns the message of the library for its JSON.
  fromJson(fields, type = this.proto.Message) {
    return type.fromObject(renamed(fields, (name) => this.#names.get(name.toLowerCase()) ?? name));
  }
}

// Two fields differ in case alone (`pushname`, `pushName`); the more frequent spelling is in use.
const PREFERRED = { pushname: 'pushName', phash: 'phash', filename: 'fileName' };

function collectNames(type, names, seen) {
  for (const value of Object.values(type)) {
    if (!value || seen.has(value) || !['function', 'object'].includes(typeof value)) continue;
    seen.add(value);
    for (const name of Object.keys(value.prototype ?? {})) {
      const lower = name.toLowerCase();
      names.set(lower, PREFERRED[lower] ?? name);
    }
    collectNames(value, names, seen);
  }
}

function renamed(value, rename, level = 0) {
  if (level > MAX_LEVELS) throw new Error(`a message of more than ${MAX_LEVELS} levels`);
  if (Array.isArray(value)) return value.map((each) => renamed(each, rename, level + 1));
  if (value === null || typeof value !== 'object') return value;
  const result = {};
  for (const [name, each] of Object.entries(value)) {
    if (each !== null && each !== undefined) result[rename(name)] = renamed(each, rename, level + 1);
  }
  return result;
}

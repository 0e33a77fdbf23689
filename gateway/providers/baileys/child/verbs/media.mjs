// Files: they go between disk and WhatsApp's servers as streams, and are never whole in memory.

import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import https from 'node:https';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import os from 'node:os';
import path from 'node:path';

import { failed } from '../limits.mjs';

const KINDS = { MediaImage: 'image', MediaVideo: 'video', MediaAudio: 'audio', MediaDocument: 'document' };
const FIELDS = {
  imageMessage: 'image', videoMessage: 'video', ptvMessage: 'video', audioMessage: 'audio', documentMessage: 'document',
  stickerMessage: 'image',
};
const MAC_BYTES = 10;
const SILENCE_MS = 30_000; // a file may take minutes, but its bytes go on
const DOWNLOAD_MS = 120_000; // the engine waits no longer, and tries again
const BYTES_AROUND = 64; // of padding and code
const HOST = 'https://mmg.whatsapp.net';

async function upload(session, { path: file, type }) {
  const kind = KINDS[type];
  const { getMediaKeys } = session.library.baileys;
  const mediaKey = randomBytes(32);
  const { cipherKey, iv, macKey } = await getMediaKeys(mediaKey, kind);
  const encrypted = path.join(os.tmpdir(), `gateway-${randomBytes(12).toString('hex')}`);
  try {
    const sealing = new Sealing(macKey, iv);
    const plain = new Hashing();
    await pipeline(createReadStream(file), plain, createCipheriv('aes-256-cbc', cipherKey, iv), sealing,
      createWriteStream(encrypted, { mode: 0o600 }));
    const where = await session.sock.waUploadToServer(encrypted, {
      mediaType: kind,
      fileEncSha256B64: sealing.digest.toString('base64'),
      timeoutMs: SILENCE_MS,
    });
    return {
      url: where.mediaUrl,
      DirectPath: where.directPath,
      MediaKey: mediaKey.toString('base64'),
      FileEncSHA256: sealing.digest.toString('base64'),
      FileSHA256: plain.digest.toString('base64'),
      FileLength: String(plain.length),
    };
  } finally {
    await rm(encrypted, { force: true });
  }
}

async function download(session, { message, path: file, max_bytes: maxBytes }) {
  const [field, kind] = Object.entries(FIELDS).find(([name]) => message[name]) ?? [];
  if (!field) throw failed('NotFound', 'the message has no file');
  const { URL: url, directPath, mediaKey } = message[field];
  const { cipherKey, iv, macKey } = await session.library.baileys.getMediaKeys(Buffer.from(mediaKey, 'base64'), kind);
  const signal = AbortSignal.timeout(DOWNLOAD_MS);
  const answer = await get(url?.startsWith('https:') ? url : HOST + directPath, session.agents().media, signal);
  const opening = new Opening(macKey, iv, maxBytes + BYTES_AROUND);
  await pipeline(answer, opening, createDecipheriv('aes-256-cbc', cipherKey, iv), createWriteStream(file), { signal });
}

function get(url, agent, signal) {
  return new Promise((resolve, reject) => {
    const request = https.get(url, { agent, signal, headers: { Origin: 'https://web.whatsapp.com' } }, (answer) => {
      if (answer.statusCode === 200) return resolve(answer);
      answer.resume();
      return reject(failed('NotFound', `WhatsApp's server answered ${answer.statusCode} for the file`));
    });
    request.setTimeout(SILENCE_MS, () => request.destroy(failed('NoAnswer', "WhatsApp's server fell silent")));
    request.on('error', reject);
  });
}

// Passes bytes on, and counts and hashes them.
class Hashing extends Transform {
  #hash = createHash('sha256');
  length = 0;

  _transform(part, _encoding, done) {
    this.length += part.length;
    this.#hash.update(part);
    done(null, part);
  }

  _flush(done) {
    this.digest = this.#hash.digest();
    done();
  }
}

// Appends the code that proves that the encrypted bytes are unchanged.
class Sealing extends Transform {
  #code;
  #hash = createHash('sha256');

  constructor(key, iv) {
    super();
    this.#code = createHmac('sha256', key).update(iv);
  }

  _transform(part, _encoding, done) {
    this.#code.update(part);
    this.#hash.update(part);
    done(null, part);
  }

  _flush(done) {
    const code = this.#code.digest().subarray(0, MAC_BYTES);
    this.digest = this.#hash.update(code).digest();
    done(null, code);
  }
}

// Takes that code away again; fails if it does not fit, or after so many bytes.
class Opening extends Transform {
  #code;
  #left;
  #tail = Buffer.alloc(0);

  constructor(key, iv, maxBytes) {
    super();
    this.#left = maxBytes;
    this.#code = createHmac('sha256', key).update(iv);
  }

  _transform(part, _encoding, done) {
    this.#left -= part.length;
    if (this.#left < 0) return void done(failed('TooLarge', 'the file is larger than the gateway stores'));
    const all = Buffer.concat([this.#tail, part]);
    const end = Math.max(0, all.length - MAC_BYTES);
    this.#tail = all.subarray(end);
    this.#code.update(all.subarray(0, end));
    done(null, all.subarray(0, end));
  }

  _flush(done) {
    const fits = this.#code.digest().subarray(0, MAC_BYTES).equals(this.#tail);
    done(fits ? null : failed('Damaged', 'the file is damaged'));
  }
}

export const MEDIA = { upload, download };

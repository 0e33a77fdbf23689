// Makes a child process of Node trust the fake server's root key, in its memory alone.
// Tests name it in NODE_OPTIONS; the last argument of the child is the folder of its packages.

import path from 'node:path';
import { pathToFileURL } from 'node:url';

const packages = process.argv.at(-1);
if (process.argv[1]?.endsWith('main.mjs') && process.env.FAKE_WHATSAPP_ROOT) {
  const file = path.join(packages, 'node_modules/baileys/lib/Defaults/index.js');
  const { WA_CERT_DETAILS } = await import(pathToFileURL(file).href);
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(process.env.FAKE_WHATSAPP_ROOT, 'hex');
}

// Every verb that the engine runs on a session, by its name.

import { ACCOUNT } from './account.mjs';
import { ADDRESS_BOOK } from './address_book.mjs';
import { BUSINESS } from './business.mjs';
import { CHANNELS } from './channels.mjs';
import { CHATS } from './chats.mjs';
import { GROUPS } from './groups.mjs';
import { MEDIA } from './media.mjs';
import { MESSAGES } from './messages.mjs';
import { PEOPLE } from './people.mjs';
import { POLLS } from './polls.mjs';

export const VERBS = {
  ...ACCOUNT, ...ADDRESS_BOOK, ...BUSINESS, ...CHANNELS, ...CHATS, ...GROUPS, ...MEDIA, ...MESSAGES, ...PEOPLE,
  ...POLLS,
};

// Verbs that keep a time limit of their own, or none: files may take minutes.
export const UNLIMITED = new Set(['send', 'upload', 'download']);

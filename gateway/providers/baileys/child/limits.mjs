// Time limits: the library's own would end a query with no value, as if it had been answered.

import { CONNECTION_ENDED, NO_ANSWER } from './questions.mjs';

const NAMES = { [NO_ANSWER]: 'NoAnswer', [CONNECTION_ENDED]: 'NotConnected' };

export const failed = (failure, text) => Object.assign(new Error(text), { failure });

// Returns what *work* returns; throws NoAnswer after the time, and goes on without it.
export async function limited(seconds, work) {
  let timer;
  const end = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(failed('NoAnswer', 'WhatsApp did not answer in time')), seconds * 1000);
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
  }
}

// Returns the name by which the engine knows the failure; a code is WhatsApp's own.
export function failureOf(error) {
  if (error?.failure) return error.failure;
  if (!error?.isBoom) return error?.name ?? 'Error';
  const code = Number.isInteger(error.data) ? error.data : error.output.statusCode;
  return NAMES[code] ?? `Code${code}`;
}

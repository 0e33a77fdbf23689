// Time limits: the library's own would end a query with no value, as if it had been answered.

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

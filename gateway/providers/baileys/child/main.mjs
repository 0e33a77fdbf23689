// `node main.mjs DESCRIPTOR DEADLINE PARENT PACKAGES` serves one engine over a socket.
//
// The library prints private keys to the console, so the console is replaced before any import of
// it. The process ends with its parent, at its deadline, and when the engine closes the socket.

for (const name of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir', 'table']) {
  console[name] = () => {};
}

const { Worker } = await import('node:worker_threads');
const { Link } = await import('./link.mjs');
const { loadLibrary } = await import('./library.mjs');
const { Sessions } = await import('./sessions.mjs');

const [descriptor, deadline, parent, packages] = process.argv.slice(2);

// A thread of its own: it ends the process even while this one computes without an end.
const times = new Float64Array(new SharedArrayBuffer(8));
times[0] = Number(deadline);
new Worker(new URL('./watchdog.mjs', import.meta.url), {
  workerData: { times, parent: Number(parent) },
  stdout: true,
}).unref();

const fatal = (error) => {
  process.stderr.write(`${error?.name ?? 'Error'}: ${error?.message ?? error}\n`);
  process.exit(1);
};
// What one connection could not read must not end the others. A session that is damaged by it no
// longer answers its probe, and is opened again.
const survive = (error) => link.notice('', 'Unhandled', { text: String(error?.message ?? error) });
process.on('uncaughtException', survive);
process.on('unhandledRejection', survive);

const link = new Link(Number(descriptor), {
  Command: (frame) => commands.then((sessions) => sessions.run(frame)),
  Answer: (frame) => link.answered(frame),
  Deadline: (frame) => {
    times[0] = frame.monotonic_seconds ?? Infinity;
  },
});

const commands = loadLibrary(packages)
  .then((library) => new Sessions(link, library, () => times[0]))
  .catch(fatal);

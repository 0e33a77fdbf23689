// Ends the process at its deadline, or when its parent is gone. It runs on a thread of its own.

import { workerData } from 'node:worker_threads';

const CHECK_MS = 50;

const seconds = () => Number(process.hrtime.bigint()) / 1e9; // the clock of Python's time.monotonic
setInterval(() => {
  if (seconds() >= workerData.times[0] || process.ppid !== workerData.parent) {
    process.kill(process.pid, 'SIGKILL');
  }
}, CHECK_MS);

/** Ends this process once it uses more memory than it may. */
import { workerData } from 'node:worker_threads';
import { OUT_OF_MEMORY } from './integrity.ts';

/** A statement fills some hundred megabytes in this time. */
const INTERVAL_MS = 20;

setInterval(() => {
  if (process.memoryUsage.rss() > Number(workerData)) process.kill(process.pid, OUT_OF_MEMORY);
}, INTERVAL_MS);

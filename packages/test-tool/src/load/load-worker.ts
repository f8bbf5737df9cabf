/** One worker of a load, with a connection and a thread of its own. It may block the thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { openDatabase } from '../util/sqlite.ts';
import { Operations } from './operations.ts';
import { Pacer } from './pacer.ts';
import { MESSAGE_COUNT_MAX, SharedState } from './shared.ts';
import type { WorkerMessage, WorkerOptions } from './shared.ts';

/** Operations between two checks of the clock and the stop flag. */
const SLICE_COUNT = 32;

const options = workerData as WorkerOptions;
const shared = new SharedState(options.memory);
const database = openDatabase(options.path);
try {
  const operations = new Operations(database, options);
  post({ ready: true });
  shared.waitForStart();
  run(operations);
} finally {
  database.close();
}

function run(operations: Operations): void {
  const { rate, durationMs, pattern, readRatio, worker } = options;
  const pacer = rate === 0 ? undefined : new Pacer(rate, pattern);
  let [writes, reads, errors] = [0, 0, 0];
  const startMs = performance.now();
  for (let elapsedMs = 0; elapsedMs < durationMs && !shared.stopped; elapsedMs = performance.now() - startMs) {
    const count = Math.min(SLICE_COUNT, pacer?.due(elapsedMs) ?? SLICE_COUNT);
    for (let each = 0; each < count; each += 1) {
      try {
        if (Math.random() < readRatio) {
          operations.read();
          reads += 1;
        } else {
          operations.write();
          writes += 1;
        }
      } catch (error) {
        errors += 1;
        operations.recover();
        if (errors <= MESSAGE_COUNT_MAX) post({ error: error instanceof Error ? error.message : String(error) });
      }
    }
    shared.publish(worker, { writes, reads, errors });
    pacer?.done(count);
    if (count === 0 && pacer !== undefined) shared.sleep(Math.min(pacer.waitMs, durationMs - elapsedMs));
  }
}

function post(message: WorkerMessage): void {
  // The rule is about windows, which have origins; a thread's port has none.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(message);
}

import { parentPort, workerData } from 'node:worker_threads';
import { WalRestartedError } from '../../pages/page-source.ts';
import type { StreamMessage, StreamTask } from './stream-ltx.ts';
import { encodeLtx } from './write-ltx.ts';

/** How often a waiting worker checks again, in case it missed a wake-up. */
const WAIT_MS = 50;

run(workerData as StreamTask);

function run({ content, sums, pending, window }: StreamTask): void {
  try {
    let size = 0;
    for (const bytes of encodeLtx(content, sums)) {
      size += bytes.length;
      if (pending === undefined) continue;
      waitForRoom(pending, window);
      Atomics.add(pending, 0, 1);
      // A view of the kernel's memory: the copy goes over without another one.
      const chunk = bytes.slice();
      send({ chunk }, [chunk.buffer]);
    }
    send({ size });
  } catch (error) {
    send({ error, restarted: error instanceof WalRestartedError });
  }
}

function waitForRoom(pending: Int32Array, window: number): void {
  for (let now = Atomics.load(pending, 0); now >= window; now = Atomics.load(pending, 0)) {
    Atomics.wait(pending, 0, now, WAIT_MS);
  }
}

function send(message: StreamMessage, transfer: ArrayBuffer[] = []): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has no origin
  parentPort?.postMessage(message, transfer);
}

/** A worker of a restore: decodes and writes one range after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { isLtxError } from '@litestream/ltx';
import { RangeDecoder } from './range-decoder.ts';
import { WriteLock } from './write-lock.ts';
import type { RangeFailure, WorkerReply, WorkerRequest } from './range-task.ts';

const decoder = new RangeDecoder(new WriteLock(workerData as SharedArrayBuffer));
const port = parentPort;
if (port === null) throw new Error('restore-worker runs as a worker thread');

port.on('message', ({ id, task }: WorkerRequest) => {
  let reply: WorkerReply;
  try {
    reply = { id, result: decoder.decode(task) };
  } catch (error) {
    reply = { id, failure: failureOf(error) };
  }
  // Frees the buffer now. The garbage collector seldom runs in a worker that makes no garbage, and dozens of ranges
  // would accumulate.
  if (task.source instanceof Uint8Array) task.source.buffer.transfer(0);
  port.postMessage(reply);
});

function failureOf(error: unknown): RangeFailure {
  const { message, code, syscall } = error as { message?: unknown; code?: unknown; syscall?: unknown };
  return {
    message: typeof message === 'string' ? message : String(error),
    code: typeof code === 'string' ? code : undefined,
    syscall: typeof syscall === 'string' ? syscall : undefined,
    isLtx: isLtxError(error),
  };
}

/** An LTX file of a live database that is never on a disk: generated chunk by chunk, in a worker if that takes long. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { WalRestartedError } from '../../pages/page-source.ts';
import type { Steps } from '../../util/cooperative.ts';
import type { LtxContent, PageSums } from './write-ltx.ts';
import { encodeLtx } from './write-ltx.ts';
import { startWorker, workerScript } from '../../own-files/worker-script.ts';

/** From this many bytes of pages on, a worker generates it: fewer are done before a worker has started. */
const WORKER_SIZE_MIN = 8 * 1024 * 1024;
/** Chunks, of about 1 MiB each, that the worker may be ahead of the consumer. */
const WINDOW = 4;

/** The input of the worker. */
export interface StreamTask {
  readonly content: LtxContent;
  readonly sums?: PageSums | undefined;
  /**
   * Number of chunks that were sent and not yet consumed; the worker waits while it is too high. Undefined: only
   * measure the size.
   */
  readonly pending?: Int32Array;
  readonly window: number;
}

/** What the worker sends. */
export type StreamMessage =
  | { readonly chunk: Uint8Array<ArrayBuffer> }
  | { readonly size: number }
  | { readonly error: unknown; readonly restarted: boolean };

/** Exact size of the file in bytes. Reads and compresses all pages to find it, and fills in `sums`. */
export function* measureLtx(content: LtxContent, sums?: PageSums): Steps<number> {
  return (yield {
    now: () => {
      let size = 0;
      for (const chunk of encodeLtx(content, sums)) size += chunk.length;
      return size;
    },
    cooperatively: (signal) => measure(content, sums, signal),
  }) as number;
}

async function measure(
  content: LtxContent,
  sums: PageSums | undefined,
  signal: AbortSignal | undefined,
): Promise<number> {
  let size = 0;
  if (!isBig(content)) {
    for await (const chunk of inTurns(content, signal, sums)) size += chunk.length;
    return size;
  }
  for await (const message of messagesFrom(content, { signal, sums })) if ('size' in message) size = message.size;
  return size;
}

/** What ends a stream from outside. */
export interface StreamOptions {
  readonly signal: AbortSignal | undefined;
  /**
   * Called with a promise for the end of the background reader, which ends soon after the signal is aborted, even if no
   * chunk is taken.
   */
  readonly onReader?: ((ended: Promise<unknown>) => void) | undefined;
}

/**
 * The bytes of the file. The consumer owns the chunks. Rejects once the signal is aborted, and then reads nothing any
 * more.
 */
export async function* streamLtx(
  content: LtxContent,
  options: StreamOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (!isBig(content)) {
    yield* inTurns(content, options.signal);
    return;
  }
  const pending = new Int32Array(new SharedArrayBuffer(4));
  for await (const message of messagesFrom(content, { ...options, pending })) {
    if (!('chunk' in message)) return;
    yield message.chunk;
    Atomics.sub(pending, 0, 1);
    Atomics.notify(pending, 0);
  }
}

function isBig({ header, list }: LtxContent): boolean {
  return list.pgnos.length * header.pageSize >= WORKER_SIZE_MIN;
}

/** On this thread, letting the event loop turn after each chunk. */
async function* inTurns(
  content: LtxContent,
  signal: AbortSignal | undefined,
  sums?: PageSums,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted();
  for (const chunk of encodeLtx(content, sums)) {
    // The chunk is a view of the kernel's memory.
    yield chunk.slice();
    await nextTurn();
    signal?.throwIfAborted();
  }
}

/** The messages of a worker, until it is done or the consumer stops. The worker has ended when this generator has. */
async function* messagesFrom(
  content: LtxContent,
  { signal, onReader, pending, sums }: StreamOptions & Pick<StreamTask, 'pending' | 'sums'>,
): AsyncGenerator<StreamMessage, void, undefined> {
  const script = await workerScript('stream');
  signal?.throwIfAborted();
  const workerData: StreamTask = { content, sums, window: WINDOW, ...(pending === undefined ? {} : { pending }) };
  const worker = startWorker(script, { workerData });
  const queue: StreamMessage[] = [];
  let failure: Error | undefined;
  let wake = (): void => undefined;
  const fail = (error: unknown): void => {
    failure ??= error instanceof Error ? error : new Error(String(error));
    wake();
  };
  const abort = (): void => {
    fail(signal?.reason);
    void worker.terminate();
  };
  signal?.addEventListener('abort', abort, { once: true });
  worker.on('message', (message: StreamMessage) => {
    queue.push(message);
    wake();
  });
  worker.once('error', fail);
  onReader?.(new Promise((resolve) => worker.once('exit', resolve)));
  worker.once('exit', (code) => fail(new Error(`worker ended with code ${code}`)));
  try {
    for (;;) {
      const message = signal?.aborted === true ? undefined : queue.shift();
      if (message === undefined) {
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      if ('error' in message) throw message.restarted ? new WalRestartedError(String(message.error)) : message.error;
      yield message;
      if ('size' in message) return;
    }
  } finally {
    signal?.removeEventListener('abort', abort);
    await worker.terminate();
  }
}

import type { ObjectInfo, ReplicaClient } from '../../storage/contract/contract.ts';
import { sleep, systemClock } from '../../util/clock.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';

const RETRY_COUNT_MAX = 3;
const RETRY_DELAY_MS = 250;

/**
 * The bytes of an object as listed. Resumes at the byte that it reached if the connection breaks, three attempts in
 * all. Rejects with `NOT_FOUND`, with `OBJECT_CHANGED` for another object under the key, and with the last failure.
 */
export async function* readObject(
  client: ReplicaClient,
  info: ObjectInfo,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { objects } = client;
  if (objects === undefined) throw new Error('only clients that list objects can be asked for one');
  let position = 0;
  for (let attempt = 1; position < info.size; attempt++) {
    let failure: unknown;
    try {
      const opened = await objects.open(info.key, { offset: position, signal });
      const { version } = opened.info;
      const isOther = version !== undefined && info.version !== undefined && version !== info.version;
      for await (const chunk of opened.body) {
        position += chunk.length;
        // Only leaving an iteration frees the connection: a body that is not iterated keeps it.
        if (isOther || position > info.size) throw changed(info.key);
        yield chunk;
      }
      if (isOther) throw changed(info.key);
      failure = new LitestreamError(`${info.key} ended after ${position} of ${info.size} bytes`, {
        code: 'NETWORK',
        retryable: true,
        object: info.key,
      });
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'OBJECT_CHANGED')) throw error;
      failure = error;
    }
    if (position >= info.size) return;
    if (attempt > RETRY_COUNT_MAX) throw failure;
    await sleep(systemClock, RETRY_DELAY_MS * 2 ** (attempt - 1), signal);
  }
}

function changed(key: string): LitestreamError {
  return new LitestreamError(`${key} was replaced since it was listed`, {
    code: 'OBJECT_CHANGED',
    object: key,
    hint: 'List the replica again.',
  });
}

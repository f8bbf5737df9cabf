/**
 * Reads an LTX file to its end over connections that break: resumes with a range at the byte that it reached, at most
 * three consecutive times, and refuses to mix two versions of an object.
 *
 * A restore keeps many files open and may leave one idle for minutes while it works on others; servers close such
 * connections, some with an error, some as if the file ended.
 */
import { sleep, systemClock } from '../../util/clock.ts';
import type { Clock } from '../../util/clock.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import type { LtxFileInfo, Op, ReplicaClient } from '../contract/contract.ts';
import { unretried } from '../guard/guard-client.ts';
import { classifyError } from '../errors/classify.ts';
import { ltxObjectName } from '../contract/object-names.ts';

/** Maximum retries of one read, for any reason, since a connection last delivered `PROGRESS_SIZE` bytes. */
const RETRY_COUNT_MAX = 3;
/**
 * A connection that delivers this many bytes is progress, even if it ends with an error: some servers close one after a
 * number of bytes or seconds.
 */
const PROGRESS_SIZE = 64 * 1024;
/** Delay before the first retry; it doubles. Without it, all retries would fall into the same throttled second. */
const RETRY_DELAY_MS = 250;

export interface ResumableOptions extends Op {
  /** First byte to read. Default 0. */
  readonly offset?: number | undefined;
  /** Bytes to read. Default: to the end. A range past the end of the file is not an error. */
  readonly size?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Called before each retry. */
  readonly onRetry?: ((retry: { error: unknown; offset: number; attempt: number }) => void) | undefined;
}

/**
 * The bytes of a file as listed. Chunks that arrived before a failure are delivered before it is handled.
 *
 * Rejects with `NOT_FOUND` and the signal's reason at once, with `OBJECT_CHANGED` if the object is no longer the listed
 * one, and with the last failure after three consecutive retries; a connection that delivers 64 KiB resets their
 * number.
 */
export function resumableSource(
  client: ReplicaClient,
  info: LtxFileInfo,
  options: ResumableOptions = {},
): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => read(client, info, options) };
}

async function* read(client: ReplicaClient, info: LtxFileInfo, options: ResumableOptions): AsyncGenerator<Uint8Array> {
  const { signal, clock = systemClock } = options;
  // Core's own retries would multiply with these.
  const once = unretried(client);
  let position = options.offset ?? 0;
  const end = Math.min(info.size, options.size === undefined ? info.size : position + options.size);
  for (let attempt = 1; position < end; attempt++) {
    let failure: unknown;
    const before = position;
    try {
      const range = options.size === undefined ? { offset: position } : { offset: position, size: end - position };
      const body = await once.openLtxFile(info, { ...range, signal });
      let isCompared = attempt === 1;
      for await (const chunk of body) {
        // Only leaving an iteration frees the connection: a body that is not iterated keeps it.
        refuseOther(info, body.info);
        if (!isCompared && body.info?.version === undefined) await refuseReplaced(once, info, signal);
        isCompared = true;
        const wanted = chunk.byteLength > end - position ? chunk.subarray(0, end - position) : chunk;
        position += wanted.byteLength;
        if (wanted.byteLength > 0) yield wanted;
        if (chunk.byteLength > wanted.byteLength && options.size === undefined) throw changed(info, 'it is longer');
      }
      refuseOther(info, body.info);
      if (position >= end) return;
      failure = endedEarly(info, position, end);
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      if (isFinal(error)) throw error;
      failure = error;
    }
    if (position - before >= PROGRESS_SIZE) attempt = 1;
    if (attempt > RETRY_COUNT_MAX) throw failure;
    options.onRetry?.({ error: failure, offset: position, attempt });
    await sleep(clock, RETRY_DELAY_MS * 2 ** (attempt - 1), signal);
  }
}

/** Any other failure is retried, even if it claims to be permanent, because a repeated read does no harm. */
function isFinal(error: unknown): boolean {
  return hasCode(error, 'OBJECT_CHANGED') || classifyError(error).code === 'NOT_FOUND' || hasCode(error, 'ABORTED');
}

/**
 * Refuses to append bytes of a second connection to those of the first if the object has been replaced. Only a listing after
 * the object was opened shows this: an earlier listing may come before the replacement, and the opening after it.
 */
async function refuseReplaced(
  client: ReplicaClient,
  info: LtxFileInfo,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (info.version === undefined) return;
  for await (const file of client.ltxFiles(info.level, { seek: info.minTxid, signal })) {
    if (file.minTxid > info.minTxid) break;
    if (file.maxTxid !== info.maxTxid) continue;
    refuseOther(info, file);
    return;
  }
  throw new LitestreamError(`${nameOf(info)} is no longer listed`, {
    code: 'UNAVAILABLE',
    retryable: true,
    object: nameOf(info),
  });
}

function refuseOther(
  info: LtxFileInfo,
  now: { readonly size?: number | undefined; readonly version?: string | undefined } | undefined,
): void {
  if (now?.size !== undefined && now.size !== info.size) throw changed(info, `${now.size} bytes, not ${info.size}`);
  if (now?.version === undefined || info.version === undefined || now.version === info.version) return;
  throw changed(info, 'another version');
}

function changed(info: LtxFileInfo, how: string): LitestreamError {
  return new LitestreamError(`${nameOf(info)} was replaced since it was listed: ${how}`, {
    code: 'OBJECT_CHANGED',
    object: nameOf(info),
    hint: 'List the replica again.',
  });
}

function endedEarly(info: LtxFileInfo, position: number, end: number): LitestreamError {
  return new LitestreamError(`${nameOf(info)} ended after ${position} of ${end} bytes`, {
    code: 'NETWORK',
    retryable: true,
    object: nameOf(info),
  });
}

function nameOf(info: LtxFileInfo): string {
  return `${info.level}/${ltxObjectName(info)}`;
}

/**
 * Random access to a file as listed, with resumable reads. `read` returns fewer bytes than requested only at the end.
 */
export function resumableFile(
  client: ReplicaClient,
  info: LtxFileInfo,
  options: Omit<ResumableOptions, 'offset' | 'size'> = {},
): { readonly size: number; read(offset: number, size: number): Promise<Uint8Array> } {
  return {
    size: info.size,
    read: async (offset, size) => {
      const target = new Uint8Array(Math.max(0, Math.min(size, info.size - offset)));
      let filled = 0;
      for await (const chunk of resumableSource(client, info, { ...options, offset, size: target.length })) {
        target.set(chunk, filled);
        filled += chunk.byteLength;
      }
      return target;
    },
  };
}

/**
 * The wrapper of core around every client, so that clients stay simple. It checks arguments, calls `init` once, retries
 * failures by their class, limits the time and the number of calls, counts them, and wraps their errors once.
 */
import { LitestreamError } from '../../util/error.ts';
import { resolveCapabilities } from '../contract/capabilities.ts';
import {
  checkBody,
  checkFile,
  checkLevel,
  checkRange,
  checkTimestamp,
  checkTxid,
  isFileInfo,
} from '../contract/check-arguments.ts';
import type {
  Body,
  Capabilities,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  ObjectOperations,
  Op,
  ReplicaClient,
  WriteOptions,
} from '../contract/contract.ts';
import { GuardCalls } from './guard-call.ts';
import type { Call } from './guard-call.ts';
import { GuardInit } from './guard-init.ts';
import { guardListing } from './guard-listing.ts';
import { GuardObjects } from './guard-objects.ts';
import type { ClientOperation, GuardOptions } from './guard-options.ts';
import { guardStream, meteredBody } from './guard-stream.ts';
import type { SourceFailure } from './guard-stream.ts';
import { ltxObjectName } from '../contract/object-names.ts';
import { trimBody } from '../contract/trim-body.ts';

/** Files per call of the client's `deleteLtxFiles`: the limit of one S3 request, and of what a retry repeats. */
const DELETE_BATCH = 1000;

const guardBrand: symbol = Symbol.for('litestream.guard');

type Range = { offset?: number | undefined; size?: number | undefined };

export class GuardClient implements ReplicaClient {
  readonly type: string;
  readonly capabilities: Capabilities;
  readonly objects?: ObjectOperations | undefined;
  readonly localPath?: (file: LtxFileRef) => string;
  readonly allLtxFiles?: (options?: Op) => AsyncIterable<LtxFileInfo>;
  readonly #client: ReplicaClient;
  readonly #calls: GuardCalls;
  readonly #init: GuardInit;
  readonly #attemptCountMax: number | undefined;

  constructor(client: ReplicaClient, options: GuardOptions = {}, shared?: { calls: GuardCalls; init: GuardInit }) {
    Object.defineProperty(this, guardBrand, { value: true });
    this.#client = client;
    this.#calls = shared?.calls ?? new GuardCalls(client, options);
    this.#init = shared?.init ?? new GuardInit(client, this.#calls);
    this.#attemptCountMax = shared === undefined ? undefined : 1;
    this.type = client.type;
    this.capabilities = client.capabilities;
    if (client.objects !== undefined)
      this.objects = new GuardObjects(client, this.#calls, this.#init, this.#attemptCountMax);
    if (client.allLtxFiles !== undefined) this.allLtxFiles = (op = {}) => this.#allLtxFiles(op);
    if (client.localPath !== undefined) this.localPath = (file) => client.localPath?.(file) ?? '';
  }

  /** The same client, with the same connections and limits, but without retries: for callers that retry themselves. */
  get unretried(): ReplicaClient {
    return new GuardClient(this.#client, {}, { calls: this.#calls, init: this.#init });
  }

  async init(options: Op = {}): Promise<void> {
    await this.#init.ready({ operation: 'init', signal: options.signal });
  }

  async *ltxFiles(
    level: number,
    query: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & Op = {},
  ): AsyncIterable<LtxFileInfo> {
    const call = this.#call('ltxFiles', `level ${level}`, query.signal);
    await this.#prepare(call, () => {
      checkLevel(level);
      checkTxid('seek', query.seek ?? 0n);
    });
    yield* guardListing({
      calls: this.#calls,
      call,
      list: (after, signal) =>
        this.#client.ltxFiles(level, { seek: after?.minTxid ?? query.seek, useMetadata: query.useMetadata, signal }),
      compare: compareFiles,
      isValid: isFileInfo,
    });
  }

  async *#allLtxFiles({ signal: callerSignal }: Op): AsyncIterable<LtxFileInfo> {
    const call = this.#call('ltxFiles', 'all levels', callerSignal);
    await this.#prepare(call);
    yield* guardListing({
      calls: this.#calls,
      call,
      list: (_after, signal) => this.#client.allLtxFiles?.({ signal }) ?? nothing(),
      compare: (a, b) => a.level - b.level || compareFiles(a, b),
      isValid: isFileInfo,
    });
  }

  async openLtxFile(file: LtxFileRef, range: Range & Op = {}): Promise<LtxFileBody> {
    const call = { ...this.#call('openLtxFile', nameOf(file), range.signal), goesOn: true };
    await this.#prepare(call, () => {
      checkFile(file);
      checkRange(range);
    });
    // A client without ranges reads from the start, and core skips.
    const skip = this.capabilities.ranges === false ? (range.offset ?? 0) : 0;
    const ask: Range = skip === 0 ? range : { size: range.size === undefined ? undefined : skip + range.size };
    const { offset, size } = ask;
    return await this.#calls.run(call, async (attempt) => {
      const { signal } = attempt.watch;
      const body = await this.#client.openLtxFile(file, { offset, size, signal });
      attempt.watch.limit(this.#calls.timeoutMs('body'));
      const wrap = (error: unknown): unknown =>
        range.signal?.aborted === true ? range.signal.reason : this.#calls.wrap(error, call);
      const stream = guardStream(body, { attempt, wrap });
      return Object.assign(skip === 0 ? stream : trimBody(stream, skip), { info: body.info });
    });
  }

  /**
   * Creating a file is retried like other calls. After a lost answer, the retry finds the file of the first attempt:
   * the caller must compare it to find out. So this does not interpret `PRECONDITION_FAILED`.
   */
  async writeLtxFile(
    file: LtxFileRef & { timestamp: Date },
    body: Body,
    options: WriteOptions = {},
  ): Promise<LtxFileInfo> {
    const call = this.#call('writeLtxFile', nameOf(file), options.signal);
    const condition = options.ifNoneMatch === undefined ? {} : { ifNoneMatch: options.ifNoneMatch };
    await this.#prepare(call, () => {
      // A client that does not support the condition would replace the file.
      if (options.ifNoneMatch !== undefined && !resolveCapabilities(this.capabilities).conditionalCreate) {
        throw new LitestreamError(`${this.type} cannot create a file only if there is none`, { code: 'UNSUPPORTED' });
      }
      checkFile(file);
      checkTimestamp(file.timestamp);
      checkBody(body);
    });
    return await this.#calls.run(call, async (attempt) => {
      let failure: SourceFailure | undefined;
      const metered: Body = {
        size: body.size,
        sizeMax: body.sizeMax,
        readAhead: body.readAhead,
        path: body.path,
        open: () =>
          meteredBody(
            () => body.open(),
            attempt,
            (caught) => (failure = caught),
          ),
      };
      try {
        const info = await this.#client.writeLtxFile(file, metered, { ...condition, signal: attempt.watch.signal });
        // If the file was linked, no bytes were read.
        if (body.path !== undefined) attempt.bytes = info.size;
        return info;
      } catch (error) {
        throw failure ?? error; // an SDK may have wrapped it in its own error
      }
    });
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options: Op = {}): Promise<void> {
    const { signal } = options;
    await this.#prepare(this.#call('deleteLtxFiles', undefined, signal), () => files.forEach(checkFile));
    for (let next = 0; next < files.length; next += DELETE_BATCH) {
      const batch = files.slice(next, next + DELETE_BATCH);
      const [first] = batch;
      const object = batch.length === 1 && first !== undefined ? nameOf(first) : `${batch.length} files`;
      await this.#calls.run(this.#call('deleteLtxFiles', object, signal), async (attempt) => {
        attempt.count = batch.length;
        await this.#client.deleteLtxFiles(batch, { signal: attempt.watch.signal });
      });
    }
  }

  async deleteAll(options: Op = {}): Promise<void> {
    const call = this.#call('deleteAll', undefined, options.signal);
    await this.#prepare(call);
    await this.#calls.run(call, async (attempt) => {
      await this.#client.deleteAll({ signal: attempt.watch.signal });
    });
  }

  /** Ends the client. Calls made later reject with `ABORTED`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#init.close();
  }

  #call(operation: ClientOperation, object: string | undefined, signal: AbortSignal | undefined): Call {
    return { operation, object, signal, attemptCountMax: this.#attemptCountMax };
  }

  async #prepare(call: Call, check?: () => void): Promise<void> {
    try {
      check?.();
    } catch (error) {
      throw this.#calls.wrap(error, call);
    }
    await this.#init.ready(call);
  }
}

/** Wraps a client in core's guard. Returns a client that has one unchanged. */
export function guardClient(client: ReplicaClient, options: GuardOptions = {}): ReplicaClient {
  return guardBrand in client ? client : new GuardClient(client, options);
}

/** The client without core's retries, if it has them. */
export function unretried(client: ReplicaClient): ReplicaClient {
  return guardBrand in client ? (client as GuardClient).unretried : client;
}

async function* nothing(): AsyncGenerator<never> {
  // The method exists only if the client has it.
}

function nameOf(file: LtxFileRef): string {
  if (typeof file?.minTxid !== 'bigint' || typeof file.maxTxid !== 'bigint') return 'unknown file';
  return `${file.level}/${ltxObjectName(file)}`;
}

function compareFiles(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.minTxid !== b.minTxid) return a.minTxid < b.minTxid ? -1 : 1;
  if (a.maxTxid !== b.maxTxid) return a.maxTxid < b.maxTxid ? -1 : 1;
  return 0;
}

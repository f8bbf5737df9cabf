/** A wrapper that makes any client fail at random, as networks do, in an order that the seed determines. */
import type {
  Body,
  Capabilities,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  ObjectInfo,
  ObjectOperations,
  Op,
  ReplicaClient,
  WriteOptions,
} from '../storage/contract/contract.ts';
import { ltxObjectName } from '../storage/contract/object-names.ts';
import type { ErrorClass } from '../storage/errors/sdk-errors.ts';
import { LitestreamError } from '../util/error.ts';
import { Seeded } from './seeded.ts';

export const FAULTS = ['before', 'after', 'truncate', 'reset', 'stale', 'latency'] as const;

/**
 * `before`: the server refuses (throttled) and did nothing. `after`: takes effect, then fails. `truncate`: a body ends early as if that were its
 * end. `reset`: a body breaks. `stale`: a listing lacks the newest file (not among the faults by default: only stores
 * without consistent listings do this). `latency`: slow.
 */
export type Fault = (typeof FAULTS)[number];

export interface FaultOptions {
  readonly seed?: number | undefined;
  /** Chance of a fault per call, 0 to 1. Default 0.2. */
  readonly rate?: number | undefined;
  /** Default: all but `stale`. */
  readonly faults?: readonly Fault[] | undefined;
  /** Consecutive faults after which a call on the same object gets none, so that retries must succeed. Default 2. */
  readonly inRowMax?: number | undefined;
  /** Longest delay of `latency`, in milliseconds. Default 5. */
  readonly latencyMsMax?: number | undefined;
}

/** One fault that was injected. */
export interface InjectedFault {
  readonly operation: string;
  readonly fault: Fault;
}

export class FaultClient implements ReplicaClient {
  readonly type: string;
  readonly capabilities: Capabilities;
  readonly objects?: ObjectOperations | undefined;
  readonly seed: number;
  /** Every fault so far, in order. */
  readonly injected: InjectedFault[] = [];
  readonly #client: ReplicaClient;
  readonly #random: Seeded;
  readonly #options: Required<{ [K in keyof FaultOptions]: NonNullable<FaultOptions[K]> }>;
  /** Consecutive faults, per operation and object. */
  readonly #inRow = new Map<string, number>();

  constructor(client: ReplicaClient, options: FaultOptions = {}) {
    this.#client = client;
    this.#random = new Seeded(options.seed);
    this.seed = this.#random.seed;
    this.#options = {
      seed: this.seed,
      rate: options.rate ?? 0.2,
      faults: options.faults ?? FAULTS.filter((fault) => fault !== 'stale'),
      inRowMax: options.inRowMax ?? 2,
      latencyMsMax: options.latencyMsMax ?? 5,
    };
    this.type = client.type;
    this.capabilities = client.capabilities;
    const { objects } = client;
    if (objects !== undefined) this.objects = this.#wrapObjects(objects);
  }

  classify(error: unknown): ErrorClass | undefined {
    return this.#client.classify?.(error);
  }

  async init(options?: Op): Promise<void> {
    await this.#around('init', '', async () => await this.#client.init(options));
  }

  ltxFiles(
    level: number,
    query?: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & Op,
  ): AsyncIterable<LtxFileInfo> {
    return this.#listing('ltxFiles', String(level), () => this.#client.ltxFiles(level, query));
  }

  async openLtxFile(
    file: LtxFileRef,
    range?: { offset?: number | undefined; size?: number | undefined } & Op,
  ): Promise<LtxFileBody> {
    const fault = await this.#enter('openLtxFile', nameOf(file));
    const body = await this.#client.openLtxFile(file, range);
    return Object.assign(this.#body(body, fault), { info: body.info });
  }

  async writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: WriteOptions): Promise<LtxFileInfo> {
    const fault = await this.#enter('writeLtxFile', nameOf(file));
    // The client sees a reset in the middle of an upload as a source that fails.
    const sent: Body =
      fault === 'reset' ? { size: body.size, sizeMax: body.sizeMax, open: () => this.#body(body.open(), fault) } : body;
    const info = await this.#client.writeLtxFile(file, sent, options);
    return leave('writeLtxFile', fault, info);
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options?: Op): Promise<void> {
    await this.#around(
      'deleteLtxFiles',
      files.map(nameOf).join(),
      async () => await this.#client.deleteLtxFiles(files, options),
    );
  }

  async deleteAll(options?: Op): Promise<void> {
    await this.#around('deleteAll', '', async () => await this.#client.deleteAll(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  #wrapObjects(objects: ObjectOperations): ObjectOperations {
    return {
      list: (prefix, options) => this.#listing('objects.list', prefix, () => objects.list(prefix, options)),
      open: async (key, range) => {
        const fault = await this.#enter('objects.open', key);
        const { info, body } = await objects.open(key, range);
        return { info, body: this.#body(body, fault) };
      },
      put: async (key, body, conditions) =>
        await this.#around(
          'objects.put',
          key,
          async (): Promise<ObjectInfo> => await objects.put(key, body, conditions),
        ),
      delete: async (key, conditions) =>
        await this.#around('objects.delete', key, async () => await objects.delete(key, conditions)),
    };
  }

  async #around<T>(operation: string, object: string, call: () => Promise<T>): Promise<T> {
    const fault = await this.#enter(operation, object);
    return leave(operation, fault, await call());
  }

  /** Chooses the fault of a call; throws at once for `before`. */
  async #enter(operation: string, object: string): Promise<Fault | undefined> {
    const { rate, faults, inRowMax, latencyMsMax } = this.#options;
    const subject = `${operation} ${object}`;
    const inRow = this.#inRow.get(subject) ?? 0;
    const fault =
      inRow < inRowMax && this.#random.next() < rate ? faults[this.#random.below(faults.length)] : undefined;
    if (fault === undefined) this.#inRow.delete(subject);
    else this.#inRow.set(subject, inRow + 1);
    if (fault === undefined) return undefined;
    this.injected.push({ operation, fault });
    if (fault === 'before') {
      throw new LitestreamError(`injected fault in ${operation}: refused`, { code: 'THROTTLED', retryable: true });
    }
    if (fault === 'latency') {
      const delayMs = this.#random.below(latencyMsMax + 1);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
    return fault;
  }

  async *#listing<T>(operation: string, object: string, list: () => AsyncIterable<T>): AsyncGenerator<T> {
    const fault = await this.#enter(operation, object);
    const breakAt = fault === 'reset' || fault === 'after' ? this.#random.below(4) : Number.POSITIVE_INFINITY;
    let count = 0;
    let held: T | undefined;
    for await (const item of list()) {
      if (count++ === breakAt) throw injected(operation, 'reset');
      if (fault !== 'stale') yield item;
      else if (held !== undefined) yield held;
      held = item;
    }
    if (count <= breakAt && breakAt !== Number.POSITIVE_INFINITY) throw injected(operation, 'reset');
  }

  async *#body(source: AsyncIterable<Uint8Array>, fault: Fault | undefined): AsyncGenerator<Uint8Array> {
    const breaks = fault === 'reset' || fault === 'truncate' || fault === 'after';
    let left = breaks ? this.#random.below(4096) : Number.POSITIVE_INFINITY;
    for await (const chunk of source) {
      if (chunk.byteLength > left) {
        if (left > 0) yield chunk.subarray(0, left);
        if (fault === 'truncate') return;
        throw injected('body', 'reset');
      }
      left -= chunk.byteLength;
      yield chunk;
    }
    if (fault === 'reset' || fault === 'after') throw injected('body', 'reset');
  }
}

function leave<T>(operation: string, fault: Fault | undefined, result: T): T {
  if (fault === 'after') throw injected(operation, 'no answer');
  return result;
}

function injected(operation: string, how: string): LitestreamError {
  return new LitestreamError(`injected fault in ${operation}: ${how}`, { code: 'NETWORK', retryable: true });
}

function nameOf(file: LtxFileRef): string {
  return `${file.level}/${ltxObjectName(file)}`;
}

import { LitestreamError } from '../../util/error.ts';
import { resolveCapabilities } from '../contract/capabilities.ts';
import { checkKey, checkRange, isSize, isTime } from '../contract/check-arguments.ts';
import type { ObjectInfo, ObjectOperations, Op, ReplicaClient } from '../contract/contract.ts';
import type { Call, GuardCalls } from './guard-call.ts';
import type { GuardInit } from './guard-init.ts';
import { guardListing } from './guard-listing.ts';
import { guardStream } from './guard-stream.ts';
import { compareKeys } from '../contract/object-names.ts';

type Conditions = { ifMatch?: string | undefined; ifNoneMatch?: '*' | undefined };

/** Core's guard around a client's operations on objects. */
export class GuardObjects implements ObjectOperations {
  readonly #client: ReplicaClient;
  readonly #calls: GuardCalls;
  readonly #init: GuardInit;
  readonly #attemptCountMax: number | undefined;

  constructor(client: ReplicaClient, calls: GuardCalls, init: GuardInit, attemptCountMax: number | undefined) {
    this.#client = client;
    this.#calls = calls;
    this.#init = init;
    this.#attemptCountMax = attemptCountMax;
  }

  async *list(prefix: string, options: Op = {}): AsyncIterable<ObjectInfo> {
    const call = this.#call('objects.list', prefix, options.signal, false);
    await this.#init.ready(call);
    yield* guardListing({
      calls: this.#calls,
      call,
      list: (_after, signal) => this.#objects.list(prefix, { signal }),
      compare: (a, b) => compareKeys(a.key, b.key),
      isValid: ({ key, size, lastModified }) => typeof key === 'string' && isSize(size) && isTime(lastModified),
    });
  }

  async open(
    key: string,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }> {
    const call: Call = { ...this.#call('objects.open', key, range.signal, false), goesOn: true };
    await this.#prepare(call, () => {
      checkKey(key);
      checkRange(range);
    });
    return await this.#calls.run(call, async (attempt) => {
      const { info, body } = await this.#objects.open(key, { ...plain(range), signal: attempt.watch.signal });
      attempt.watch.limit(this.#calls.timeoutMs('body'));
      const wrap = (error: unknown): unknown =>
        range.signal?.aborted === true ? range.signal.reason : this.#calls.wrap(error, call);
      return { info, body: guardStream(body, { attempt, wrap }) };
    });
  }

  async put(key: string, body: Uint8Array, conditions: Conditions & Op = {}): Promise<ObjectInfo> {
    const { ifMatch, ifNoneMatch } = conditions;
    const conditional = ifMatch !== undefined || ifNoneMatch !== undefined;
    const call = this.#call('objects.put', key, conditions.signal, conditional);
    await this.#prepare(call, () => {
      checkKey(key);
      if (ifMatch !== undefined && ifNoneMatch !== undefined) {
        throw new LitestreamError('ifMatch and ifNoneMatch exclude each other', { code: 'INVALID_ARGUMENT' });
      }
      if (conditional && !resolveCapabilities(this.#client.capabilities).conditions) throw unsupported('put');
    });
    return await this.#calls.run(call, async (attempt) => {
      attempt.bytes = body.byteLength;
      return await this.#objects.put(key, body, { ...plain(conditions), signal: attempt.watch.signal });
    });
  }

  async delete(key: string, conditions: { ifMatch?: string | undefined } & Op = {}): Promise<void> {
    const conditional = conditions.ifMatch !== undefined;
    const call = this.#call('objects.delete', key, conditions.signal, conditional);
    await this.#prepare(call, () => {
      checkKey(key);
      if (conditional && !resolveCapabilities(this.#client.capabilities).conditionalDelete) throw unsupported('delete');
    });
    await this.#calls.run(call, async (attempt) => {
      attempt.count = 1;
      await this.#objects.delete(key, { ...plain(conditions), signal: attempt.watch.signal });
    });
  }

  get #objects(): ObjectOperations {
    const { objects } = this.#client;
    if (objects === undefined) throw unsupported('objects');
    return objects;
  }

  /** A conditional call that may have taken effect must not be repeated: its own effect would fail the condition. */
  #call(operation: Call['operation'], object: string, signal: AbortSignal | undefined, conditional: boolean): Call {
    return {
      operation,
      object,
      signal,
      repeat: conditional ? 'refused' : 'all',
      attemptCountMax: this.#attemptCountMax,
    };
  }

  async #prepare(call: Call, check: () => void): Promise<void> {
    try {
      check();
    } catch (error) {
      throw this.#calls.wrap(error, call);
    }
    await this.#init.ready(call);
  }
}

/** The options without `undefined` values: a client may check which keys exist. */
function plain<T extends object>(options: T & Op): Omit<T, 'signal'> {
  return Object.fromEntries(
    Object.entries(options).filter(([key, value]) => key !== 'signal' && value !== undefined),
  ) as Omit<T, 'signal'>;
}

function unsupported(what: string): LitestreamError {
  return new LitestreamError(`this client does not offer ${what} with conditions`, {
    code: 'UNSUPPORTED',
    hint: 'Use a replica on a backend with conditional writes, such as s3, gcs, abs or file.',
  });
}

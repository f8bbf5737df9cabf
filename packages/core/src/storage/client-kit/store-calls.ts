import { Readable } from 'node:stream';

import { LitestreamError, isLitestreamError } from '../../util/error.ts';
import type { Body, Op } from '../contract/contract.ts';
import { httpStatus } from '../errors/sdk-errors.ts';
import type {
  ObjectHead,
  ObjectStore,
  ObjectStoreDefinition,
  PutOptions,
  StoreCall,
  StoredBody,
  StoredObject,
} from './object-store.ts';
import { PageTokens } from './page-tokens.ts';
import { raceAbort } from './sdk-abort.ts';
import { forEachConcurrent } from './sdk-pool.ts';
import { BodyReader, readStream } from './sdk-stream.ts';

const DELETE_COUNT_MAX = 1000;
const DELETES_MAX = 16;

type Operation = StoreCall['operation'];

/** An opened object. Its body throws the errors of the client, not those of the SDK. */
export interface OpenedObject extends ObjectHead {
  readonly body: AsyncIterable<Uint8Array>;
}

/** Calls a store: connects on first use, converts errors, reads whole listings, and handles ranges, uploads and batches. */
export class StoreCalls {
  readonly #definition: ObjectStoreDefinition;
  #opened: Promise<ObjectStore> | undefined;

  constructor(definition: ObjectStoreDefinition) {
    this.#definition = definition;
  }

  async connect(operation: Operation, signal: AbortSignal | undefined): Promise<ObjectStore> {
    signal?.throwIfAborted();
    try {
      return await raceAbort(this.#open(), signal);
    } catch (error) {
      throw this.#error(error, { operation, request: 'connect' }, signal);
    }
  }

  /** The objects whose key begins with `prefix`, page by page. */
  async *pages(
    operation: Operation,
    prefix: string,
    { after, signal }: { readonly after?: string | undefined } & Op,
  ): AsyncGenerator<readonly StoredObject[]> {
    const tokens = new PageTokens(this.#definition.type);
    let token: string | undefined;
    do {
      const query = { prefix, after, token, signal };
      const page = await this.#run({ operation, request: 'list', object: prefix }, signal, (store) =>
        store.list(query),
      );
      yield page.objects;
      token = tokens.next(page.next, page.objects.length);
    } while (token !== undefined);
  }

  head(operation: Operation, key: string, signal: AbortSignal | undefined): Promise<ObjectHead> {
    return this.#run({ operation, request: 'head', object: key }, signal, (store) => store.head(key, { signal }));
  }

  /** Opens a range. An empty range, or one past the end, has no bytes, but the object has to exist. */
  async get(
    operation: Operation,
    key: string,
    range: { readonly offset?: number | undefined; readonly size?: number | undefined } & Op,
  ): Promise<OpenedObject> {
    const { offset = 0, size, signal } = range;
    const { type: backend, capabilities } = this.#definition;
    if (offset > 0 && capabilities.ranges === false) {
      throw new LitestreamError(`${backend} reads objects only from their beginning`, { code: 'UNSUPPORTED', backend });
    }
    const call: StoreCall = { operation, request: 'get', object: key };
    const ask = async (store: ObjectStore): Promise<StoredBody | undefined> => {
      try {
        return await store.get(key, { offset, size, signal });
      } catch (error) {
        if (isPastEnd(error)) return undefined;
        throw error;
      }
    };
    const found = size === 0 ? undefined : await this.#run(call, signal, ask);
    if (found === undefined) return { ...(await this.head(operation, key, signal)), body: nothing() };
    return { ...found, body: this.#read(found, call, signal) };
  }

  /** Stores a body; `size` of the result is its number of bytes. */
  async put(
    operation: Operation,
    key: string,
    body: Body,
    options: PutOptions,
  ): Promise<ObjectHead & { readonly size: number }> {
    const { size, sizeMax } = body;
    const { signal } = options;
    const { wholeSizeMax = -1 } = this.#definition;
    const reader = new BodyReader(body, signal);
    const call: StoreCall = { operation, request: 'put', object: key };
    const store = await this.connect(operation, signal);
    try {
      const bytes = size !== undefined && size <= wholeSizeMax ? await reader.collect() : undefined;
      const chunks = (): AsyncIterable<Buffer> => (bytes === undefined ? reader.chunks() : once(bytes));
      const stored = await store.put(key, { bytes, size, sizeMax, chunks }, options);
      return { ...stored, size: reader.size };
    } catch (error) {
      throw reader.errorOr(this.#error(error, call, signal));
    }
  }

  /** Stores bytes in one request. */
  async putBytes(operation: Operation, key: string, bytes: Uint8Array, options: PutOptions): Promise<ObjectHead> {
    const content = { bytes, size: bytes.byteLength, chunks: () => once(bytes) };
    return await this.#run({ operation, request: 'put', object: key }, options.signal, (store) =>
      store.put(key, content, options),
    );
  }

  async delete(
    operation: Operation,
    key: string,
    options: { readonly ifMatch?: string | undefined } & Op,
  ): Promise<void> {
    const call: StoreCall = { operation, request: 'delete', object: key };
    await this.#run(call, options.signal, (store) => store.delete(key, options));
  }

  /** Deletes objects, in batches or several at the same time. Missing objects are no error. */
  async deleteMany(operation: Operation, keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const { deletesMax = DELETES_MAX } = this.#definition;
    const store = await this.connect(operation, signal);
    if (store.deleteMany === undefined) {
      await forEachConcurrent(keys, deletesMax, (key) => this.delete(operation, key, { signal }));
      return;
    }
    for (let from = 0; from < keys.length; from += DELETE_COUNT_MAX) {
      const batch = keys.slice(from, from + DELETE_COUNT_MAX);
      const call: StoreCall = { operation, request: 'delete', object: batch[0] };
      await this.#run(call, signal, async (store) => await store.deleteMany?.(batch, { signal }));
    }
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    const store = await opened?.catch(() => undefined);
    await store?.close?.();
  }

  async #run<T>(
    call: StoreCall,
    signal: AbortSignal | undefined,
    work: (store: ObjectStore) => Promise<T>,
  ): Promise<T> {
    const store = await this.connect(call.operation, signal);
    try {
      return await work(store);
    } catch (error) {
      throw this.#error(error, call, signal);
    }
  }

  #error(error: unknown, call: StoreCall, signal?: AbortSignal): unknown {
    if (signal?.aborted === true) return signal.reason;
    if (isLitestreamError(error)) return error;
    return this.#definition.toError === undefined ? error : this.#definition.toError(error, call);
  }

  #read({ body, length }: StoredBody, call: StoreCall, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    const wrapError = (error: unknown): unknown => this.#error(error, call, signal);
    return body instanceof Readable ? readStream(body, { signal, size: length, wrapError }) : wrapped(body, wrapError);
  }

  /** The connected store. After a failure, or after the store was closed, the next call connects again. */
  async #open(): Promise<ObjectStore> {
    const current = this.#opened;
    if (current !== undefined) {
      const store = await current;
      if (store.isClosed !== true) return store;
      if (this.#opened === current) this.#opened = undefined;
      return await this.#open();
    }
    const opened = this.#definition.connect();
    this.#opened = opened;
    try {
      return await opened;
    } catch (error) {
      if (this.#opened === opened) this.#opened = undefined;
      throw error;
    }
  }
}

/** Some S3 servers name this error, but send another status. */
function isPastEnd(error: unknown): boolean {
  return httpStatus(error) === 416 || (error as { name?: unknown } | null)?.name === 'InvalidRange';
}

async function* wrapped(
  body: AsyncIterable<Uint8Array>,
  wrapError: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw wrapError(error);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Buffer> {
  yield await Promise.resolve(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

// eslint-disable-next-line require-yield -- an empty iteration has nothing to yield
async function* nothing(): AsyncGenerator<never> {
  await Promise.resolve();
}

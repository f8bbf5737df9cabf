import { ltxObjectName, parseLtxObjectName } from '@litestream/core';
import type {
  Body,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  Op,
  ReplicaClient,
  TXID,
  WriteOptions,
} from '@litestream/core';
import { Store } from './store.ts';
import type { Entry, Range } from './store.ts';

const LEVELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/** The files of one replica. Core checks arguments, retries, times out, and resumes broken reads, so this class stays simple. */
export class AcmeStoreClient implements ReplicaClient {
  readonly type = 'acme-store';
  /** See "Capabilities" in the contract: declare what your service supports, and leave out the rest. */
  readonly capabilities = { timestamps: 'listing', conditionalCreate: true } as const;
  readonly #store: Store;

  constructor(folder: string, path: string) {
    this.#store = new Store(folder, path);
  }

  /** Connects, and loads the SDK: `const { Sdk } = await loadSdk('your-sdk', () => import('your-sdk'))`. Creates no objects. */
  async init({ signal }: Op = {}): Promise<void> {
    signal?.throwIfAborted();
  }

  async *ltxFiles(
    level: number,
    { seek = 0n, signal }: { seek?: TXID | undefined } & Op = {},
  ): AsyncIterable<LtxFileInfo> {
    for await (const entry of this.#store.list(`ltx/${level}`, signal)) {
      signal?.throwIfAborted();
      const txids = parseLtxObjectName(entry.name);
      if (txids !== undefined && txids.minTxid >= seek) yield infoOf({ level, ...txids }, entry);
    }
    signal?.throwIfAborted();
  }

  async openLtxFile(file: LtxFileRef, range: Range = {}): Promise<LtxFileBody> {
    range.signal?.throwIfAborted();
    const { entry, body } = await this.#store.open(keyOf(file), range);
    return Object.assign(body, { info: { size: entry.size, version: entry.version } });
  }

  async writeLtxFile(
    file: LtxFileRef & { timestamp: Date },
    body: Body,
    { ifNoneMatch, signal }: WriteOptions = {},
  ): Promise<LtxFileInfo> {
    const target = { key: keyOf(file), time: file.timestamp, isNew: ifNoneMatch === '*' };
    return infoOf(file, await this.#store.write(target, body, signal));
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], { signal }: Op = {}): Promise<void> {
    for (const file of files) {
      signal?.throwIfAborted();
      await this.#store.delete(keyOf(file));
    }
  }

  async deleteAll({ signal }: Op = {}): Promise<void> {
    for (const level of LEVELS)
      await this.deleteLtxFiles(await Array.fromAsync(this.ltxFiles(level, { signal })), { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store.close();
  }
}

/** Names sort like their TXIDs. */
function keyOf(file: LtxFileRef): string {
  return `ltx/${file.level}/${ltxObjectName(file)}`;
}

function infoOf({ level, minTxid, maxTxid }: LtxFileRef, { size, time, version }: Entry): LtxFileInfo {
  return { level, minTxid, maxTxid, size, timestamp: time, version };
}

import type { Bucket } from '@google-cloud/storage';
import {
  type Body,
  type Capabilities,
  type ErrorClass,
  type LtxFileBody,
  type LtxFileInfo,
  type LtxFileRef,
  type Op,
  type ReplicaClient,
  type TXID,
  type WriteOptions,
  formatObjectTime,
} from '@litestream/core';

import { deleteAllLtx, deleteKeys } from './delete.ts';
import { download } from './transfer/download.ts';
import { classifyGcsError, gcsError } from './transfer/errors.ts';
import { TIMESTAMP_KEY, ltxKey } from './keys.ts';
import { listAllLtxFiles, listLtxFiles } from './listing.ts';
import { GcsObjects } from './objects.ts';
import type { GcsOptions } from './options.ts';
import { type GcsSettings, openBucket, resolveSettings } from './session.ts';
import { upload } from './transfer/upload.ts';

/** A replica in a bucket of Google Cloud Storage. */
export class GcsReplicaClient implements ReplicaClient {
  readonly type = 'gs';
  readonly capabilities: Capabilities = {
    objects: true,
    conditions: true,
    conditionalCreate: true,
    timestamps: 'listing',
    timestampResolutionMs: 1,
    seekListing: true,
  };
  readonly objects: GcsObjects;
  readonly #settings: GcsSettings;
  #bucket: Promise<Bucket> | undefined;

  /** @param env source of `STORAGE_EMULATOR_HOST`; the SDK finds credentials itself */
  constructor(options: GcsOptions, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#settings = resolveSettings(options, env);
    this.objects = new GcsObjects(this.#settings, () => this.#open());
  }

  async init(options: Op = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await this.#open();
  }

  async *ltxFiles(
    level: number,
    query: { seek?: TXID | undefined; useMetadata?: boolean | undefined } & Op = {},
  ): AsyncGenerator<LtxFileInfo> {
    yield* listLtxFiles(await this.#open(), this.#settings.path, level, query);
  }

  async *allLtxFiles(options: Op = {}): AsyncGenerator<LtxFileInfo> {
    yield* listAllLtxFiles(await this.#open(), this.#settings.path, options);
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    const found = await download(await this.#open(), ltxKey(this.#settings.path, file), range);
    return Object.assign(found.body, { info: { size: found.size, version: found.generation } });
  }

  async writeLtxFile(
    file: LtxFileRef & { timestamp: Date },
    body: Body,
    options: WriteOptions = {},
  ): Promise<LtxFileInfo> {
    const target = {
      key: ltxKey(this.#settings.path, file),
      contentType: 'application/octet-stream',
      metadata: { [TIMESTAMP_KEY]: formatObjectTime(file.timestamp) },
      ifGenerationMatch: options.ifNoneMatch === '*' ? 0 : undefined,
    };
    const { partSize } = this.#settings;
    const stored = await upload(await this.#open(), target, body, { partSize, signal: options.signal });
    const { level, minTxid, maxTxid, timestamp } = file;
    return { level, minTxid, maxTxid, timestamp, size: stored.size, version: stored.generation };
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options: Op = {}): Promise<void> {
    const keys = files.map((file) => ltxKey(this.#settings.path, file));
    const { concurrency } = this.#settings;
    await deleteKeys(await this.#open(), keys, { concurrency, signal: options.signal });
  }

  async deleteAll(options: Op = {}): Promise<void> {
    const { path, concurrency } = this.#settings;
    await deleteAllLtx(await this.#open(), path, { concurrency, signal: options.signal });
  }

  classify(error: unknown): ErrorClass | undefined {
    return classifyGcsError(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bucket = undefined;
    await Promise.resolve();
  }

  /** The SDK, loaded on first use. After a failure, the next use loads it again. */
  #open(): Promise<Bucket> {
    this.#bucket ??= openBucket(this.#settings).catch((error: unknown) => {
      this.#bucket = undefined;
      throw gcsError(error, this.#settings.bucket);
    });
    return this.#bucket;
  }
}

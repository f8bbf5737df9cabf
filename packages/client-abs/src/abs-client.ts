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
import { download } from './download.ts';
import { classifyAbsError, absError } from './errors.ts';
import { TIMESTAMP_KEY, ltxKey } from './keys.ts';
import { etagOf, listAllLtxFiles, listLtxFiles } from './listing.ts';
import { AbsObjects } from './objects.ts';
import type { AbsOptions } from './options.ts';
import { type AbsSession, connect } from './session.ts';
import { type AbsSettings, resolveSettings, secretsOf } from './settings.ts';
import { upload } from './upload.ts';

/** A replica in a container of Azure Blob Storage. */
export class AbsReplicaClient implements ReplicaClient {
  readonly type = 'abs';
  readonly capabilities: Capabilities = {
    objects: true,
    conditions: true,
    conditionalCreate: true,
    timestamps: 'listing',
    timestampResolutionMs: 1,
  };
  readonly objects: AbsObjects;
  readonly #settings: AbsSettings;
  #session: Promise<AbsSession> | undefined;

  /**
   * @param env variables with credentials for options that are not set
   * @throws `CONFIG_INVALID` for options that cannot work
   */
  constructor(options: AbsOptions, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#settings = resolveSettings(options, env);
    this.objects = new AbsObjects(() => this.#open());
  }

  async init(options: Op = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await this.#open();
  }

  async *ltxFiles(
    level: number,
    query: { seek?: TXID | undefined; useMetadata?: boolean | undefined } & Op = {},
  ): AsyncGenerator<LtxFileInfo> {
    yield* listLtxFiles(await this.#open(), level, query);
  }

  async *allLtxFiles(options: Op = {}): AsyncGenerator<LtxFileInfo> {
    yield* listAllLtxFiles(await this.#open(), options);
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    const found = await download(await this.#open(), ltxKey(this.#settings.path, file), range);
    return Object.assign(found.body, { info: { size: found.size, version: etagOf(found.etag) } });
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
      conditions: options.ifNoneMatch === undefined ? undefined : { ifNoneMatch: options.ifNoneMatch },
    };
    const stored = await upload(await this.#open(), target, body, options.signal);
    const { level, minTxid, maxTxid, timestamp } = file;
    return { level, minTxid, maxTxid, timestamp, size: stored.size, version: etagOf(stored.etag) };
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options: Op = {}): Promise<void> {
    const keys = files.map((file) => ltxKey(this.#settings.path, file));
    await deleteKeys(await this.#open(), keys, options.signal);
  }

  async deleteAll(options: Op = {}): Promise<void> {
    await deleteAllLtx(await this.#open(), options.signal);
  }

  classify(error: unknown): ErrorClass | undefined {
    return classifyAbsError(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session = undefined;
    await Promise.resolve();
  }

  /** The SDK, loaded on first use. After a failure, the next use loads it again. */
  #open(): Promise<AbsSession> {
    this.#session ??= connect(this.#settings).catch((error: unknown) => {
      this.#session = undefined;
      throw absError(error, { object: this.#settings.bucket, secrets: secretsOf(this.#settings) });
    });
    return this.#session;
  }
}

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
  type Logger,
  loadSdk,
  silentLogger,
} from '@litestream/core';

import { connect } from './connection/connection.ts';
import { deleteAllLtx, deleteKeys } from './delete.ts';
import { download } from './download.ts';
import { classifyS3Error, s3Error } from './connection/errors.ts';
import { TIMESTAMP_KEY, ltxKey } from './keys.ts';
import { listAllLtxFiles, listLtxFiles } from './listing.ts';
import { S3Objects } from './objects.ts';
import type { S3Options } from './connection/options.ts';
import { S3Session, secretsOf } from './connection/session.ts';
import { type S3Settings, resolveSettings } from './connection/settings.ts';
import { upload } from './upload.ts';

/** A replica in a bucket of Amazon S3 or of a compatible server. */
export class S3ReplicaClient implements ReplicaClient {
  readonly type = 's3';
  readonly capabilities: Capabilities = {
    objects: true,
    conditions: true,
    // Compatible servers differ: some refuse the condition, some ignore it.
    conditionalCreate: 'probe',
    timestamps: 'metadata',
    timestampResolutionMs: 1,
    batchDelete: true,
    seekListing: true,
  };
  readonly objects: S3Objects;
  readonly #settings: S3Settings;
  readonly #logger: Logger;
  #session: Promise<S3Session> | undefined;

  /**
   * @param env variables with credentials and the endpoint, for options that are not set
   * @param logger receives the lines that `LITESTREAM_S3_DEBUG` in `env` asks for
   * @throws `CONFIG_INVALID` for options that cannot work
   */
  constructor(
    options: S3Options,
    env: Readonly<Record<string, string | undefined>> = process.env,
    logger: Logger = silentLogger,
  ) {
    this.#logger = logger;
    this.#settings = resolveSettings(options, env);
    this.objects = new S3Objects(() => this.#open());
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
    return Object.assign(found.body, { info: { size: found.size, version: found.etag } });
  }

  async writeLtxFile(
    file: LtxFileRef & { timestamp: Date },
    body: Body,
    options: WriteOptions = {},
  ): Promise<LtxFileInfo> {
    const session = await this.#open();
    const key = ltxKey(this.#settings.path, file);
    const input = {
      Bucket: this.#settings.bucket,
      Key: key,
      ContentType: 'application/octet-stream',
      Metadata: { [TIMESTAMP_KEY]: formatObjectTime(file.timestamp) },
      ...this.#settings.writeParams,
      // For an object in parts, the last request carries the condition.
      ...(options.ifNoneMatch === undefined ? {} : { IfNoneMatch: options.ifNoneMatch }),
    };
    const stored = await upload(session, input, body, options.signal);
    const { level, minTxid, maxTxid, timestamp } = file;
    return { level, minTxid, maxTxid, timestamp, size: stored.size, version: stored.etag };
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options: Op = {}): Promise<void> {
    const keys = files.map((file) => ltxKey(this.#settings.path, file));
    await deleteKeys(await this.#open(), keys, options.signal);
  }

  async deleteAll(options: Op = {}): Promise<void> {
    await deleteAllLtx(await this.#open(), options.signal);
  }

  classify(error: unknown): ErrorClass | undefined {
    return classifyS3Error(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.then(
      (opened) => opened.close(),
      () => undefined,
    );
  }

  /** The SDK, loaded and connected on first use. After a failure, the next use tries again. */
  #open(): Promise<S3Session> {
    this.#session ??= this.#connect().catch((error: unknown) => {
      this.#session = undefined;
      throw s3Error(error, { object: this.#settings.bucket, secrets: secretsOf(this.#settings) });
    });
    return this.#session;
  }

  async #connect(): Promise<S3Session> {
    const sdk = await loadSdk('@aws-sdk/client-s3', () => import('@aws-sdk/client-s3'));
    return new S3Session(sdk, await connect(sdk, this.#settings, this.#logger), this.#settings);
  }
}

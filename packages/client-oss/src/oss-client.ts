import { formatObjectTime, raceAbort, settleAborted } from '@litestream/core';
import type {
  Body,
  Capabilities,
  ErrorClass,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  Op,
  ReplicaClient,
  WriteOptions,
} from '@litestream/core';

import { deleteAllLtx, deleteKeys } from './delete.ts';
import { download } from './download.ts';
import { classifyOssError } from './errors.ts';
import { TIMESTAMP_KEY, ltxKey } from './keys.ts';
import { listLtxFiles } from './listing.ts';
import type { OssOptions } from './options.ts';
import { OssSession, resolveSettings } from './session.ts';
import type { OssSettings } from './session.ts';
import { upload } from './upload.ts';

/** An aborted upload has this long to remove its parts. */
const CLEANUP_MS = 2_000;

/**
 * A replica in a bucket of Alibaba Cloud OSS: `<path>/<level>/<min>-<max>.ltx`, the level as four hex digits, the commit
 * time in the object's metadata.
 */
export class OssReplicaClient implements ReplicaClient {
  readonly type = 'oss';
  readonly capabilities: Capabilities = {
    timestamps: 'metadata',
    // The service ignores the condition in a bucket with versioning.
    conditionalCreate: 'probe',
    batchDelete: true,
    seekListing: true,
  };

  readonly #settings: OssSettings;
  #opened: Promise<OssSession> | undefined;

  /**
   * @param env variables with credentials for options that are not set
   * @throws `CONFIG_INVALID` or `UNAUTHORIZED` for options that cannot work
   */
  constructor(options: OssOptions, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#settings = resolveSettings(options, env);
  }

  async init(options?: Op): Promise<void> {
    options?.signal?.throwIfAborted();
    await raceAbort(this.#open(), options?.signal);
  }

  async *ltxFiles(
    level: number,
    query: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & Op = {},
  ): AsyncIterable<LtxFileInfo> {
    yield* listLtxFiles(await this.#open(), level, query);
  }

  async openLtxFile(
    file: LtxFileRef,
    range: { offset?: number | undefined; size?: number | undefined } & Op = {},
  ): Promise<LtxFileBody> {
    return download(await this.#open(), ltxKey(this.#settings.prefix, file), range);
  }

  async writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: WriteOptions): Promise<LtxFileInfo> {
    const signal = options?.signal;
    signal?.throwIfAborted();
    const object = {
      meta: { [TIMESTAMP_KEY]: formatObjectTime(file.timestamp) },
      mime: 'application/octet-stream',
      isNew: options?.ifNoneMatch === '*',
    };
    const stored = upload(await this.#open(), ltxKey(this.#settings.prefix, file), object, body, signal);
    const { size, etag } = await settleAborted(stored, signal, CLEANUP_MS);
    const { level, minTxid, maxTxid, timestamp } = file;
    return { level, minTxid, maxTxid, size, timestamp, version: etag };
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options?: Op): Promise<void> {
    const keys = files.map((file) => ltxKey(this.#settings.prefix, file));
    await deleteKeys(await this.#open(), keys, options?.signal);
  }

  async deleteAll(options?: Op): Promise<void> {
    await deleteAllLtx(await this.#open(), options?.signal);
  }

  classify(error: unknown): ErrorClass | undefined {
    return classifyOssError(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    const session = await opened?.catch(() => undefined);
    session?.close();
  }

  /** The SDK, loaded on first use. After a failure, the next use loads it again. */
  #open(): Promise<OssSession> {
    this.#opened ??= OssSession.open(this.#settings).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }
}

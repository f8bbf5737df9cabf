import type * as Sdk from '@azure/storage-blob';
import { malformedAnswer, wholeSize } from '@litestream/core/client';
import type {
  ListPage,
  ListQuery,
  ObjectHead,
  ObjectStore,
  Op,
  PutContent,
  PutOptions,
  StoreRange,
  StoredBody,
  StoredObject,
} from '@litestream/core/client';
import { Readable } from 'node:stream';

import { TO_THE_END, lacksLength } from './answer-length.ts';
import type { AbsSettings } from './settings.ts';

/** The maximum number of blocks of one blob. */
const BLOCK_COUNT_MAX = 50_000;

/** Metadata key of a file's time: Azure allows no hyphen in it. */
const TIMESTAMP_KEY = 'litestreamtimestamp';

/** The blobs of a container; conditions are ETags. */
export class AbsStore implements ObjectStore {
  readonly #container: Sdk.ContainerClient;
  readonly #settings: AbsSettings;

  constructor(container: Sdk.ContainerClient, settings: AbsSettings) {
    this.#container = container;
    this.#settings = settings;
  }

  async list({ prefix, token, signal }: ListQuery): Promise<ListPage> {
    const pages = this.#container
      .listBlobsFlat({ prefix, includeMetadata: true, ...aborting(signal) })
      .byPage({ maxPageSize: this.#settings.pageSize, ...(token === undefined ? {} : { continuationToken: token }) });
    const page = await pages.next().catch(unread);
    if (page.done === true) return { objects: [] };
    const { segment, continuationToken } = page.value;
    return { objects: segment.blobItems.map(storedObject), next: continuationToken };
  }

  async get(key: string, { offset, size, signal }: StoreRange): Promise<StoredBody> {
    const blob = this.#container.getBlobClient(key);
    // Core resumes broken reads. If the SDK resumed them silently, it could mix versions of a blob.
    const ask = (count: number | undefined): Promise<Sdk.BlobDownloadResponseParsed> =>
      blob.download(offset, count, { ...aborting(signal), maxRetryRequests: 0 });
    const found = await ask(size).catch((error: unknown) => {
      if (!lacksLength(error)) throw error;
      return ask(size ?? TO_THE_END);
    });
    return {
      body: found.readableStreamBody as Readable,
      length: found.contentLength,
      size: wholeSize(found.contentRange, found.contentLength),
      version: quoted(found.etag),
      lastModified: found.lastModified,
    };
  }

  async head(key: string, { signal }: Op): Promise<ObjectHead> {
    const found = await this.#container.getBlobClient(key).getProperties(aborting(signal));
    return { size: found.contentLength ?? 0, version: quoted(found.etag), lastModified: found.lastModified };
  }

  /**
   * In one request up to the part size, otherwise as blocks that the last request turns into a blob. Blocks of a failed or aborted
   * upload are in no listing, and the service drops them.
   */
  async put(key: string, content: PutContent, options: PutOptions): Promise<ObjectHead> {
    const { partSize, concurrency } = this.#settings;
    const { time, ifMatch, ifNoneMatch, signal } = options;
    const blob = this.#container.getBlockBlobClient(key);
    const described = {
      ...aborting(signal),
      blobHTTPHeaders: { blobContentType: options.contentType },
      tier: 'Hot',
      ...(time === undefined ? {} : { metadata: { [TIMESTAMP_KEY]: time } }),
      conditions: {
        ...(ifMatch === undefined ? {} : { ifMatch }),
        ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
      },
    };
    const { bytes, size = content.sizeMax ?? 0 } = content;
    const blockSize = Math.max(partSize, Math.ceil(size / BLOCK_COUNT_MAX));
    const stored = await (bytes === undefined
      ? blob.uploadStream(Readable.from(content.chunks(), { objectMode: false }), blockSize, concurrency, described)
      : blob.upload(bytes, bytes.byteLength, described));
    return { version: quoted(stored.etag), lastModified: stored.lastModified };
  }

  async delete(key: string, { ifMatch, signal }: { readonly ifMatch?: string | undefined } & Op): Promise<void> {
    const blob = this.#container.getBlobClient(key);
    if (ifMatch === undefined) {
      await blob.deleteIfExists(aborting(signal));
      return;
    }
    try {
      await blob.delete({ ...aborting(signal), conditions: { ifMatch } });
    } catch (error) {
      // A condition on a missing blob fails like any other: check whether the blob exists.
      if ((error as { statusCode?: unknown }).statusCode === 412) await blob.getProperties(aborting(signal));
      throw error;
    }
  }
}

function storedObject({ name, properties, metadata }: Sdk.BlobItem): StoredObject {
  const { contentLength: size, createdOn, lastModified, etag } = properties;
  if (!name || size === undefined) {
    throw malformedAnswer('abs', 'the listing holds a blob without a name, or a size');
  }
  const time = metadata?.[TIMESTAMP_KEY];
  return { key: name, size, lastModified, createdAt: createdOn, version: quoted(etag), time };
}

/** The SDK treats every document as a listing, so a missing part is a TypeError. */
function unread(error: unknown): never {
  throw error instanceof TypeError ? malformedAnswer('abs', 'it is not a valid listing') : error;
}

/** ETags are quoted in answers and bare in listings; conditions need them quoted. */
function quoted(etag: string | undefined): string | undefined {
  if (etag === undefined || etag === '') return undefined;
  return etag.startsWith('"') || etag.startsWith('W/') ? etag : `"${etag}"`;
}

/** The SDK accepts a missing signal, but not `undefined`. */
function aborting(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

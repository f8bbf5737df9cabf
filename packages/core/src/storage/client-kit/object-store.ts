/**
 * The store behind `createObjectStoreClient`: what each object store has to implement. The client does the rest of the
 * contract: names, order and pages of listings, times, ranges, sizes, batches, objects of leases, and errors.
 */
import type { Readable } from 'node:stream';

import type { Capabilities, Op } from '../contract/contract.ts';
import type { ErrorClass } from '../errors/sdk-errors.ts';
import type { ClientOperation } from '../guard/guard-options.ts';

/**
 * A connected store. Its methods reject with the errors of the SDK as they are. After an abort, they reject with the reason of the
 * signal, and leave nothing in the store.
 */
export interface ObjectStore {
  /** True once every call would fail: the client then connects again at its next call. Default false. */
  readonly isClosed?: boolean | undefined;

  /** A page of the objects whose key begins with `prefix`, in all folders below it, ascending by the bytes of their keys. */
  list(query: ListQuery): Promise<ListPage>;

  /**
   * Opens an object. A range that begins after the end gives no bytes, or rejects with status 416. Rejects if there is no such
   * object.
   */
  get(key: string, range: StoreRange): Promise<StoredBody>;

  /** Describes an object. Rejects if there is no such object. */
  head(key: string, options: Op): Promise<ObjectHead>;

  /** Stores an object, all or nothing. With a condition that does not hold, rejects with `PRECONDITION_FAILED`. */
  put(key: string, content: PutContent, options: PutOptions): Promise<ObjectHead>;

  /**
   * Deletes an object. A missing one is no error, unless `ifMatch` is given: then it rejects with `NOT_FOUND`. `ifMatch` is given
   * only with `capabilities.conditions`.
   */
  delete(key: string, options: { readonly ifMatch?: string | undefined } & Op): Promise<void>;

  /** Deletes up to 1,000 objects in one request. Missing ones are no error. Required for `capabilities.batchDelete`. */
  readonly deleteMany?: ((keys: readonly string[], options: Op) => Promise<void>) | undefined;

  /** Frees connections. */
  readonly close?: (() => Promise<void> | void) | undefined;
}

export interface ListQuery extends Op {
  readonly prefix: string;
  /** Only keys after this one. Given only with `capabilities.seekListing`. */
  readonly after?: string | undefined;
  /** `next` of the page before; undefined for the first page. */
  readonly token?: string | undefined;
}

export interface ListPage {
  readonly objects: readonly StoredObject[];
  /** Token of the next page as the server sent it; the client checks it. Nothing, or an empty text, after the last page. */
  readonly next?: unknown;
}

/** A row of a listing. */
export interface StoredObject {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  readonly lastModified: Date;
  /** When the object was stored, if the service keeps that apart from changes of the metadata. */
  readonly createdAt?: Date | undefined;
  /** ETag or generation, in the form that `ifMatch` takes. */
  readonly version?: string | undefined;
  /** The text that `put` was given, if listings show metadata. */
  readonly time?: string | undefined;
  /** True for the mark that the service keeps of a deletion. The client does not list it; `deleteAll` removes it. Default false. */
  readonly isDeleted?: boolean | undefined;
}

/** What an answer says about an object. */
export interface ObjectHead {
  /** Bytes. */
  readonly size?: number | undefined;
  readonly lastModified?: Date | undefined;
  readonly version?: string | undefined;
  /** The text that `put` was given, if the service keeps metadata. */
  readonly time?: string | undefined;
}

export interface StoreRange extends Op {
  /** 0 where `capabilities.ranges` is false. */
  readonly offset: number;
  /** At least 1. Undefined: to the end. */
  readonly size?: number | undefined;
}

/** An opened object; `size` is the size of the whole object. */
export interface StoredBody extends ObjectHead {
  /** The client destroys a Node stream after an abort, and when the reader stops early. Other bodies must handle both themselves. */
  readonly body: Readable | AsyncIterable<Uint8Array>;
  /** Bytes of the body, as announced. If a Node stream has fewer, the client reports an error. */
  readonly length?: number | undefined;
}

/** Bytes to store. */
export interface PutContent {
  /** All bytes, for an LTX file of known size up to `wholeSizeMax`, and for every object that is no LTX file. */
  readonly bytes?: Uint8Array | undefined;
  /** Total bytes, if known. */
  readonly size?: number | undefined;
  /** Upper bound, if it is known and `size` is not. */
  readonly sizeMax?: number | undefined;
  /**
   * The bytes, in chunks that the store may keep. Read them once. Throws if the source fails, or has another size than it announced;
   * the client reports that failure, even if the SDK throws another error.
   */
  chunks(): AsyncIterable<Buffer>;
}

export interface PutOptions extends Op {
  readonly contentType: string;
  /** Time of the last commit, RFC 3339, to keep in the metadata. Undefined for objects that are no LTX files. */
  readonly time?: string | undefined;
  /** Replace only this version. */
  readonly ifMatch?: string | undefined;
  /** Create, never replace. */
  readonly ifNoneMatch?: '*' | undefined;
}

/** The call that failed. */
export interface StoreCall {
  readonly operation: ClientOperation | 'allLtxFiles';
  /** The method of the store. */
  readonly request: 'connect' | 'list' | 'get' | 'head' | 'put' | 'delete';
  /** Key, or prefix of a listing. Undefined for `connect`. */
  readonly object?: string | undefined;
}

/** A store, and what the client knows of it before it connects. */
export interface ObjectStoreDefinition {
  /** `s3`, … as in the config's `type`. */
  readonly type: string;
  readonly capabilities: Capabilities;
  readonly keys: KeyScheme;
  /** Loads the SDK and logs in. Called on first use, and again after a failure or once the store is closed. */
  readonly connect: () => Promise<ObjectStore>;
  /** As in `ReplicaClient`. */
  readonly classify?: ((error: unknown) => ErrorClass | undefined) | undefined;
  /** The error to throw. Not called for errors of core, nor after an abort. Default: the error as it is. */
  readonly toError?: ((error: unknown, call: StoreCall) => unknown) | undefined;
  /** Whether one listing of all levels costs no more than a listing of one level. Default false. */
  readonly listsAllLevels?: boolean | undefined;
  /** Whether a listing has to restart after objects were deleted: a token may name a deleted one. Default false. */
  readonly relistsAfterDelete?: boolean | undefined;
  /** In bytes: see `PutContent.bytes`. Default: never. */
  readonly wholeSizeMax?: number | undefined;
  /** Deletes at the same time, for stores without `deleteMany`. Default 16. */
  readonly deletesMax?: number | undefined;
  /** HEAD requests at the same time while a listing asks for exact times. Default 50. */
  readonly headsMax?: number | undefined;
}

/** The keys of the objects of a replica. */
export interface KeyScheme {
  /** Folder of the levels, with its slash: `app/ltx/`. */
  readonly folder: string;
  /** Digits of a level's name. 4: `0000`, hexadecimal. Default 1: `0`. */
  readonly levelDigits?: 1 | 4 | undefined;
  /** Key of an object that is no LTX file. Default: the key itself. */
  readonly objectKey?: ((key: string) => string) | undefined;
}

/**
 * The contract between core and a storage client: the only interface that a backend must implement.
 *
 * Clients stay naive. Core checks arguments, calls `init` once, retries, times out, resumes broken reads, counts and
 * wraps errors (`guard-client.ts`). A client maps each operation to its SDK, throws the SDK's error unchanged or a
 * `LitestreamError` with a code, and never holds a whole object in memory.
 */
import type { TXID } from '@litestream/ltx';
import type { ErrorClass } from '../errors/sdk-errors.ts';

/** Options of every operation. An aborted operation rejects with the signal's reason, and leaves nothing behind. */
export interface Op {
  readonly signal?: AbortSignal | undefined;
}

/** How `writeLtxFile` stores a file. */
export interface WriteOptions extends Op {
  /** Create, never replace. Core passes it only if `capabilities.conditionalCreate` is not false. */
  readonly ifNoneMatch?: '*' | undefined;
}

/** Names one LTX file of a replica. Level 0 holds raw files, 1 … 8 compacted ones, 9 snapshots. */
export interface LtxFileRef {
  readonly level: number;
  readonly minTxid: TXID;
  readonly maxTxid: TXID;
}

/** One row of a listing. */
export interface LtxFileInfo extends LtxFileRef {
  /** Bytes of the object. */
  readonly size: number;
  /**
   * Time of the last commit in the file if the backend keeps it in the listing (or `useMetadata` asked for it);
   * otherwise the time of the object's last modification.
   */
  readonly timestamp: Date;
  /** Time of the earliest commit in the file, if known. */
  readonly createdAt?: Date | undefined;
  /**
   * Identifies the object's content, if the backend has a version (ETag, generation): so a reader can detect a change.
   */
  readonly version?: string | undefined;
}

/** Bytes to store. `open` may be called again, from the first byte, when core retries. */
export interface Body {
  /** Total bytes, if known. */
  readonly size?: number | undefined;
  /**
   * Upper bound of the size in bytes, if it is known and `size` is not: from it, a client computes the size of parts
   * whose number is limited.
   */
  readonly sizeMax?: number | undefined;
  /**
   * The next chunk may be requested while the last one is still in use, so that reading and writing overlap: each chunk
   * is valid until the next but one is requested. Default: only until the next one.
   */
  readonly readAhead?: boolean | undefined;
  /**
   * A local file that holds exactly these bytes, and is never written to again: a client with files on the same disk
   * may link it instead of copying it.
   */
  readonly path?: string | undefined;
  open(): AsyncIterable<Uint8Array>;
}

/**
 * What a client can do beyond the required operations. Each default is the value that a client need not implement
 * anything for.
 */
export interface Capabilities {
  /** `objects` exists: list, open, put and delete by key. Default false. */
  readonly objects?: boolean | undefined;
  /** `objects.put` and `objects.delete` honour `ifMatch` and `ifNoneMatch` atomically. Default false. */
  readonly conditions?: boolean | undefined;
  /**
   * Where the timestamp given to `writeLtxFile` comes back exactly: `listing`, `metadata` (only with `useMetadata`), or
   * `none` (server time). Default `none`.
   */
  readonly timestamps?: 'listing' | 'metadata' | 'none' | undefined;
  /** Resolution of those timestamps, in milliseconds. Default 1. */
  readonly timestampResolutionMs?: number | undefined;
  /** The server deletes many objects in one request. Default false. */
  readonly batchDelete?: boolean | undefined;
  /** The server itself starts a listing at a key, so a `seek` costs no scan. Default false. */
  readonly seekListing?: boolean | undefined;
  /** `objects.delete` honours `ifMatch` where `conditions` is true. False: it rejects with `UNSUPPORTED`. Default true. */
  readonly conditionalDelete?: boolean | undefined;
  /**
   * `writeLtxFile` honours `ifNoneMatch`, atomically. `probe`: the client asks the server for it, and servers differ:
   * some refuse the condition, some ignore it. Core then probes the server once. `unlocked`: servers check, and then
   * write, so more than one of several concurrent callers may succeed. Default false.
   */
  readonly conditionalCreate?: boolean | 'probe' | 'unlocked' | undefined;
  /**
   * While `writeLtxFile` replaces a file, the name always exists. False: listings and reads may miss it for a short
   * time, and a server that fails in that time leaves no file. Default true.
   */
  readonly atomicReplace?: boolean | undefined;
  /**
   * Reads start at an offset. False: a range with an offset rejects with `UNSUPPORTED`; core reads from the start and
   * skips. Default true.
   */
  readonly ranges?: boolean | undefined;
}

/** Bytes of an LTX file. A client that learns size or version when it opens the file returns them in `info`. */
export interface LtxFileBody extends AsyncIterable<Uint8Array> {
  /** Size and version of the whole file, even if a range is read, as in the listing. */
  readonly info?: { readonly size?: number | undefined; readonly version?: string | undefined } | undefined;
}

/** Raw objects under the replica's path: leases and old (v0.3) replicas use these. */
export interface ObjectOperations {
  /** Objects whose key starts with `prefix`, ascending by the UTF-8 bytes of their keys. Keys are relative to the replica's path. */
  list(prefix: string, options?: Op): AsyncIterable<ObjectInfo>;
  /** Rejects with `NOT_FOUND`. */
  open(
    key: string,
    range?: { offset?: number | undefined; size?: number | undefined } & Op,
  ): Promise<{ info: ObjectInfo; body: AsyncIterable<Uint8Array> }>;
  /** Atomic. A condition that does not hold rejects with `PRECONDITION_FAILED`. */
  put(
    key: string,
    body: Uint8Array,
    conditions?: { ifMatch?: string | undefined; ifNoneMatch?: '*' | undefined } & Op,
  ): Promise<ObjectInfo>;
  /** A missing object rejects with `NOT_FOUND` if `ifMatch` is given and is no error otherwise. */
  delete(key: string, conditions?: { ifMatch?: string | undefined } & Op): Promise<void>;
}

export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  readonly lastModified: Date;
  /** Opaque; the value for `ifMatch`. */
  readonly version?: string | undefined;
}

/** A client for the replica of one database. One instance serves one replica path; calls may overlap. */
export interface ReplicaClient extends AsyncDisposable {
  /** `file`, `s3`, … as in the config's `type`. */
  readonly type: string;
  readonly capabilities: Capabilities;

  /** Prepares connections. Idempotent; core calls it once before anything else and again after it failed. */
  init(options?: Op): Promise<void>;

  /**
   * Files of a level, ascending by `minTxid`, then `maxTxid`. A level that does not exist is empty. With `seek`, only
   * files with `minTxid >= seek`. `useMetadata` asks for exact timestamps, even at a request per file.
   */
  ltxFiles(
    level: number,
    query?: { seek?: TXID | undefined; useMetadata?: boolean | undefined } & Op,
  ): AsyncIterable<LtxFileInfo>;

  /**
   * Files of all levels, level by level, each as `ltxFiles` returns it: for backends that need no more requests for
   * this than for one level, or that know which levels exist. If it is absent, core lists level by level.
   */
  allLtxFiles?(options?: Op): AsyncIterable<LtxFileInfo>;

  /**
   * Bytes of a file from `offset` (default 0), `size` of them (default: to the end). A range past the end returns fewer
   * bytes, possibly none. Rejects with `NOT_FOUND` before the first byte. Leaving the iteration early frees the
   * connection.
   */
  openLtxFile(
    file: LtxFileRef,
    range?: { offset?: number | undefined; size?: number | undefined } & Op,
  ): Promise<LtxFileBody>;

  /**
   * Stores a file, all or nothing: no reader and no listing ever sees a part of it. Replaces an older one; with
   * `ifNoneMatch` it leaves that unchanged, byte for byte, and rejects with `PRECONDITION_FAILED`. If several callers
   * create a file, exactly one succeeds.
   */
  writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: WriteOptions): Promise<LtxFileInfo>;

  /** Deletes these files. A file that is already gone is no error. */
  deleteLtxFiles(files: readonly LtxFileRef[], options?: Op): Promise<void>;

  /** Deletes every LTX file under the replica's path, and nothing else. */
  deleteAll(options?: Op): Promise<void>;

  readonly objects?: ObjectOperations | undefined;

  /**
   * Classifies an error of this client's SDK. If it returns `undefined`, core classifies the error by errno, HTTP
   * status and well-known names. Must not throw.
   */
  classify?(error: unknown): ErrorClass | undefined;

  /**
   * Path of a file on a local disk, even if it does not exist. Workers of a restore then read it directly instead of
   * through `openLtxFile`. Only for clients whose files are plain local files.
   */
  localPath?(file: LtxFileRef): string;
}

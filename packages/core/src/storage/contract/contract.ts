/**
 * The contract between core and a storage client: the only thing a backend has to implement.
 *
 * Clients stay naive. Core checks arguments, calls `init` once, retries, times out, resumes broken reads, counts and
 * wraps errors (`guard-client.ts`). A client maps each operation to its SDK, throws the SDK's error as it is or a
 * `LitestreamError` with a code, and holds no object whole in memory.
 */
import type { TXID } from '@litestream/ltx';
import type { ErrorClass } from '../errors/sdk-errors.ts';

/** What every operation accepts. An aborted operation rejects with the signal's reason, and leaves nothing behind. */
export interface Op {
  readonly signal?: AbortSignal | undefined;
}

/** How `writeLtxFile` stores a file. */
export interface WriteOptions extends Op {
  /** Create, never replace. Core gives it only where `capabilities.conditionalCreate` is not false. */
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
   * Time of the last commit in the file where the backend keeps it in the listing (or `useMetadata` asked for it), the
   * object's last modification otherwise.
   */
  readonly timestamp: Date;
  /** Time of the earliest commit in the file, where known. */
  readonly createdAt?: Date | undefined;
  /** Identifies the object's content where the backend gives one (ETag, generation): a reader can tell it changed. */
  readonly version?: string | undefined;
}

/** Bytes to store. `open` may be called again, from the first byte, when core retries. */
export interface Body {
  /** Total bytes, where known. */
  readonly size?: number | undefined;
  /** No more bytes than these, where that much is known and `size` is not: how large parts have to be, where they are counted. */
  readonly sizeMax?: number | undefined;
  /**
   * The next chunk may be asked for while the last one is still in use, so that reading and writing overlap: chunks last
   * until the next but one is asked for. Default: only until the next one.
   */
  readonly readAhead?: boolean | undefined;
  /**
   * A local file that holds exactly these bytes, and is never written to again: a client whose files lie on the same disk
   * may link it in place of copying it.
   */
  readonly path?: string | undefined;
  open(): AsyncIterable<Uint8Array>;
}

/** What a client can do beyond the required operations. Each default is the answer that costs a client nothing. */
export interface Capabilities {
  /** `objects` is there: list, open, put and delete by key. Default false. */
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
   * `writeLtxFile` honours `ifNoneMatch`, atomically. `probe`: the client asks the server for it, and servers differ: some
   * refuse the condition, some ignore it. Core then finds out once. `unlocked`: servers look, and then write, so of several
   * callers at one moment more than one may succeed. Default false.
   */
  readonly conditionalCreate?: boolean | 'probe' | 'unlocked' | undefined;
  /**
   * While `writeLtxFile` replaces a file, that name is there all the time. False: listings and reads may miss it for a moment, and
   * a server that dies in that moment leaves no file. Default true.
   */
  readonly atomicReplace?: boolean | undefined;
  /** Reads start at an offset. False: a range with one rejects with `UNSUPPORTED`, core reads and skips. Default true. */
  readonly ranges?: boolean | undefined;
}

/** Bytes of an LTX file. A client that learns size or version when it opens the file hands them on here. */
export interface LtxFileBody extends AsyncIterable<Uint8Array> {
  /** Of the whole file, whatever the range, in the terms of the listing. */
  readonly info?: { readonly size?: number | undefined; readonly version?: string | undefined } | undefined;
}

/** Raw objects under the replica's path: leases and old (v0.3) replicas are built on these. */
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
  /** Opaque; what `ifMatch` takes. */
  readonly version?: string | undefined;
}

/** Where one database's replica lives. One instance serves one replica path; calls may overlap. */
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
   * Files of all levels, level by level, each as `ltxFiles` gives it: for backends that answer that with as few requests
   * as for one level, or that know which levels there are. Core asks level by level where it is absent.
   */
  allLtxFiles?(options?: Op): AsyncIterable<LtxFileInfo>;

  /**
   * Bytes of a file from `offset` (default 0), `size` of them (default: to the end). A range past the end gives fewer
   * bytes, possibly none. Rejects with `NOT_FOUND` before the first byte. Leaving the iteration early frees the
   * connection.
   */
  openLtxFile(
    file: LtxFileRef,
    range?: { offset?: number | undefined; size?: number | undefined } & Op,
  ): Promise<LtxFileBody>;

  /**
   * Stores a file, all or nothing: no reader and no listing ever sees a part of it. Replaces an older one; with
   * `ifNoneMatch` it leaves that as it is, byte for byte, and rejects with `PRECONDITION_FAILED`. Of several callers who
   * create a file exactly one succeeds.
   */
  writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: WriteOptions): Promise<LtxFileInfo>;

  /** Deletes these files. A file that is already gone is no error. */
  deleteLtxFiles(files: readonly LtxFileRef[], options?: Op): Promise<void>;

  /** Deletes every LTX file under the replica's path and nothing beside it. */
  deleteAll(options?: Op): Promise<void>;

  readonly objects?: ObjectOperations | undefined;

  /**
   * What an error of this client's SDK means. `undefined` leaves it to its shape: errno, HTTP status, well-known names.
   * Must not throw.
   */
  classify?(error: unknown): ErrorClass | undefined;

  /**
   * Path of a file that lies on a local disk, whether it exists or not. Restore then reads it straight from its workers,
   * in place of `openLtxFile`. Only for clients whose files are plain local files.
   */
  localPath?(file: LtxFileRef): string;
}

/** Messages between the restore and its workers. All of them can be cloned (structured clone). */
import type { DatabaseChecksum } from './database-checksum.ts';

/** Frames to decode, and what to do with their pages. */
export interface RangeTask {
  /** The file, for errors. */
  readonly name: string;
  /** The frames themselves, or where to read them. */
  readonly source: Uint8Array<ArrayBuffer> | { readonly path: string; readonly offset: number; readonly size: number };
  readonly pageSize: number;
  /** What the index says of each frame. */
  readonly pgnos: Uint32Array;
  readonly sizes: Uint32Array;
  /** 1 for a page to write, 0 for one that a newer file replaces. */
  readonly owned: Uint8Array;
  /** Descriptor of the output, shared by the whole process. */
  readonly output: number;
  /** Also compute the xor of these checksums of the written pages, for the database checksum. */
  readonly summed: DatabaseChecksum['of'] | undefined;
}

export interface RangeResult {
  /** CRC of the frames as the file checksum includes them, starting from zero. */
  readonly crc: bigint;
  /** Bytes that CRC covers. */
  readonly crcLength: number;
  readonly pageCount: number;
  readonly pagesWritten: number;
  /** Xor of the requested checksums of the written pages; 0 if none were requested. */
  readonly databaseChecksum: bigint;
}

/** A failure in a worker, as data that keeps its code. */
export interface RangeFailure {
  readonly message: string;
  readonly code: string | undefined;
  /** The call of a system error: `write` means that the output failed, not the input. */
  readonly syscall: string | undefined;
  /** True for an `LtxError`, of which only the code crosses the thread. */
  readonly isLtx: boolean;
}

export type WorkerRequest = { readonly id: number; readonly task: RangeTask };
export type WorkerReply =
  | { readonly id: number; readonly result: RangeResult }
  | { readonly id: number; readonly failure: RangeFailure };

import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op } from '../../storage/contract/contract.ts';
import { LitestreamError } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';
import type { RestoreTarget } from './chain.ts';
import type { IntegrityCheck } from '../check/integrity.ts';
import type { TimeDoubts } from './time-doubts.ts';

/**
 * How a restore checks the database checksum that the last file states. `checked`: a database with another checksum is refused.
 * `required`: a database whose last file states no checksum is refused, too. `ignored`: a database with another checksum is
 * restored, with a warning.
 */
export type ProofMode = (typeof PROOF_MODES)[number];
export const PROOF_MODES = ['checked', 'required', 'ignored'] as const;

export interface RestoreOptions extends RestoreTarget, Op {
  /** Path of the database to create. Missing folders are created. */
  readonly output: string;
  /** Replace an existing output and its side files. Default false. */
  readonly overwrite?: boolean | undefined;
  /** Worker threads. Default: the number of cores, at most 4. */
  readonly parallelism?: number | undefined;
  /** Let SQLite check the result before it appears at `output`. Default `none`. */
  readonly integrityCheck?: IntegrityCheck | undefined;
  /** Default `checked`. */
  readonly proof?: ProofMode | undefined;
  /**
   * If a file is damaged, or the result is not the database that was replicated, restore the same state from an older
   * snapshot and the files after it. Default false.
   */
  readonly olderBase?: boolean | undefined;
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
  readonly logger?: Logger | undefined;
}

export interface RestoreProgress {
  readonly phase: 'write' | 'sync' | 'check';
  /** Bytes of LTX frames decoded so far. */
  readonly bytesDone: number;
  /** Bytes of all files of the plan, which is slightly more than `bytesDone` reaches. */
  readonly bytesTotal: number;
  /** Pages of the output that are written. */
  readonly pagesDone: number;
}

export interface RestoreResult {
  readonly output: string;
  /** The restored state: the database after this transaction. 0 for a v0.3 replica, which has no TXIDs. */
  readonly txid: TXID;
  /** Time of the last file, as the replica lists it. */
  readonly timestamp: Date;
  /** What was restored from: LTX files, or a generation of a v0.3 replica. */
  readonly format: 'ltx' | 'v0.3';
  readonly pageSize: number;
  readonly pageCount: number;
  /** Bytes of the database. */
  readonly size: number;
  /** Files that were applied, in this order. Empty for a v0.3 replica. */
  readonly plan: readonly LtxFileInfo[];
  /** Bytes of those files. */
  readonly inputSize: number;
  /**
   * The database has the checksum that the last file states. False if the file states none, like files of Litestream (Go), and
   * files that were written before a snapshot built the page ledger.
   */
  readonly proven: boolean;
  /**
   * Files that were left out because their times cannot be right, so that the state may be older than the requested
   * time. Empty lists for any other target, and for a v0.3 replica.
   */
  readonly timeDoubts: TimeDoubts;
  readonly planDurationMs: number;
  readonly writeDurationMs: number;
  readonly syncDurationMs: number;
  readonly checkDurationMs: number;
}

/** For core itself. */
export interface RestoreHooks {
  /**
   * Called when the output is complete, before it appears at its path. Without it, the files of a follower beside the
   * output are removed.
   */
  readonly beforePublish?: ((newest: NewestFile) => Promise<void>) | undefined;
  /** Refuses a backup of v0.3, with `REPLICA_EMPTY`: a follower needs TXIDs to continue from it. */
  readonly ltxOnly?: boolean | undefined;
}

/** The file that a restored database ends with. */
export interface NewestFile {
  readonly file: LtxFileInfo;
  readonly header: LtxHeader;
}

/** Throws `INVALID_ARGUMENT` for invalid options. */
export function checkOptions(options: RestoreOptions): void {
  const { output, parallelism, integrityCheck, proof } = options;
  if (output === '') throw invalid('output path required');
  if (parallelism !== undefined && (!Number.isInteger(parallelism) || parallelism < 1)) {
    throw invalid(`parallelism must be a positive integer, not ${parallelism}`);
  }
  if (integrityCheck !== undefined && !['none', 'quick', 'full'].includes(integrityCheck)) {
    throw invalid(`unsupported integrity check mode: ${integrityCheck}`);
  }
  if (proof !== undefined && !PROOF_MODES.includes(proof)) throw invalid(`unsupported proof mode: ${proof}`);
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'restore' });
}

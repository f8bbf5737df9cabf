/**
 * Files that a restore to a time leaves out for a time that cannot be theirs. A clock that was ahead stamps a transaction
 * with a time to come, and all that follow, since times rise; a program that lets times fall leaves later transactions
 * behind one that is stamped too late. Either way the restored state is older than what was asked for.
 */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../../storage/contract/contract.ts';
import type { Logger } from '../../util/logger.ts';
import { ltxName } from '../read/ltx-errors.ts';

/** Clocks of two machines differ by this much without a meaning, in milliseconds. */
const SKEW_MS = 1000;

/** So many files are named. */
const NAMES_MAX = 3;

/** Files that were left out of a restore to a time. */
export interface TimeDoubts {
  /** What they continue may lie before the time that was asked for: their own lies in the future. */
  readonly ahead: readonly LtxFileInfo[];
  /** Transactions after theirs are stamped earlier, and not later than the time that was asked for. */
  readonly outOfOrder: readonly LtxFileInfo[];
}

export const NO_DOUBTS: TimeDoubts = { ahead: [], outOfOrder: [] };

/** `reached` is the last transaction of the chain that was chosen for `timeMs`; both times in milliseconds since 1970. */
export function timeDoubts(
  files: readonly LtxFileInfo[],
  { reached, timeMs, nowMs }: { readonly reached: TXID; readonly timeMs: number; readonly nowMs: number },
): TimeDoubts {
  const beyond = files.filter(({ maxTxid }) => maxTxid > reached);
  const late = beyond.filter(({ timestamp }) => timestamp.getTime() > timeMs);
  const lastEarly = beyond.reduce(
    (max, { timestamp, minTxid }) => (timestamp.getTime() <= timeMs && minTxid > max ? minTxid : max),
    0n,
  );
  const next = late.filter(({ minTxid }) => minTxid <= reached + 1n);
  // One of them with a time that can be true is the next state after the one that was asked for.
  const areAhead = next.every(({ timestamp }) => timestamp.getTime() > nowMs + SKEW_MS);
  return { ahead: areAhead ? next : [], outOfOrder: late.filter(({ maxTxid }) => maxTxid < lastEarly) };
}

/** One warning for each kind, which names the files, and what was chosen. */
export function warnOfDoubts({ ahead, outOfOrder }: TimeDoubts, chosen: LtxFileInfo, logger: Logger): void {
  const warn = (message: string, files: readonly LtxFileInfo[]): void => {
    if (files.length === 0) return;
    logger.warn(message, {
      files: files
        .slice(0, NAMES_MAX)
        .map((file) => `${ltxName(file)} (${file.timestamp.toISOString()})`)
        .join(', '),
      file_count: files.length,
      chosen_txid: formatTxid(chosen.maxTxid),
      chosen_time: chosen.timestamp,
      hint: 'The state that was chosen may be older than that time. Name a later one by -txid; `litestream ltx` lists them.',
    });
  };
  warn('the next files are stamped in the future, a clock was ahead: they are left out', ahead);
  warn('times of files are out of order: what follows these files is left out with them', outOfOrder);
}

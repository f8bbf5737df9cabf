/**
 * Finds files that a restore to a time leaves out because their times cannot be right. A clock that was ahead stamps a
 * transaction, and all that follow, with a future time, because times rise; a program that lets times fall puts later
 * transactions behind one with a time that is too late. In both cases the restored state is older than requested.
 */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../../storage/contract/contract.ts';
import type { Logger } from '../../util/logger.ts';
import { ltxName } from '../read/ltx-errors.ts';

/** Normal difference between the clocks of two machines, in milliseconds. */
const SKEW_MS = 1000;

/** Maximum number of files that a warning names. */
const NAMES_MAX = 3;

/** Files that were left out of a restore to a time. */
export interface TimeDoubts {
  /** Files with a time in the future. Their transactions may be older than the requested time. */
  readonly ahead: readonly LtxFileInfo[];
  /** Files with later transactions behind them whose times are earlier, and not after the requested time. */
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
  // A file among them with a plausible time is the next state after the requested one.
  const areAhead = next.every(({ timestamp }) => timestamp.getTime() > nowMs + SKEW_MS);
  return { ahead: areAhead ? next : [], outOfOrder: late.filter(({ maxTxid }) => maxTxid < lastEarly) };
}

/** Logs one warning for each kind, with the files, and the state that was chosen. */
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

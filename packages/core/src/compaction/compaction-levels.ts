/**
 * Compaction levels: level 0 holds one file per sync, each level above merges the one below at its own interval, and
 * snapshots live at level 9. Levels and defaults are those of Litestream (Go) (`compaction_level.go`, `store.go`).
 */
import { DEFAULTS } from '../util/defaults.ts';
import { LitestreamError } from '../util/error.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';

export interface CompactionLevel {
  /** 1 … 8. */
  readonly level: number;
  /** How often the level below is merged into this one, on boundaries that are multiples of it since the epoch. */
  readonly intervalMs: number;
}

export const DEFAULT_LEVELS: readonly CompactionLevel[] = DEFAULTS.levelIntervalsMs.map((intervalMs, index) => ({
  level: index + 1,
  intervalMs,
}));

/** Refuses levels that are not 1, 2, 3 … in order, or that have no interval. */
export function checkLevels(levels: readonly CompactionLevel[]): void {
  for (const [index, { level, intervalMs }] of levels.entries()) {
    if (level !== index + 1) throw invalid(`compaction level ${level} is out of order, expected ${index + 1}`);
    if (level >= SNAPSHOT_LEVEL) throw invalid(`compaction level ${level} is above ${SNAPSHOT_LEVEL - 1}`);
    if (!Number.isFinite(intervalMs) || intervalMs <= 0) throw invalid(`compaction level ${level} needs an interval`);
  }
}

/** The newest boundary at or before `nowMs`: boundaries are the multiples of the interval, so every process agrees. */
export function boundaryBefore(nowMs: number, intervalMs: number): number {
  return Math.floor(nowMs / intervalMs) * intervalMs;
}

/** The first boundary after `nowMs`. */
export function boundaryAfter(nowMs: number, intervalMs: number): number {
  return boundaryBefore(nowMs, intervalMs) + intervalMs;
}

function invalid(message: string): LitestreamError {
  return new LitestreamError(message, {
    code: 'CONFIG_INVALID',
    hint: 'List the levels from 1 upwards, each with an interval such as 30s.',
  });
}

/** A day of a replica's life in a minute: what takes seconds, hours and days by default takes seconds here. */
import { writeFile } from 'node:fs/promises';

/** Seconds. */
export const life = {
  sync: 0.1,
  levels: [2, 10, 30],
  snapshotInterval: 60,
  snapshotRetention: 180,
  level0Retention: 10,
  level0Check: 1,
  validation: 30,
  checkpoint: 5,
};

export const commitsPerSecond = 200;
export const slotCount = 8000;
export const payloadSizeMax = 1500;
export const checkpointPageCount = 1000;

/** Longest time that a file of a level above 0 is kept: until the snapshot after the one it belongs to has expired. */
export const windowSeconds = life.snapshotRetention + 2 * life.snapshotInterval;

/** How many files of each level there can be if everything is deleted when it is due, and half as many again. */
export function countsMax(): readonly number[] {
  const { levels, level0Retention, level0Check, sync, snapshotInterval } = life;
  const level0 = (level0Retention + level0Check + 2 * (levels[0] ?? 0)) / sync;
  const counts = Array.from({ length: 10 }, () => 0);
  counts[0] = Math.ceil(1.5 * level0);
  for (const [index, seconds] of levels.entries()) counts[index + 1] = Math.ceil((1.5 * windowSeconds) / seconds) + 2;
  counts[9] = Math.ceil((1.5 * windowSeconds) / snapshotInterval) + 2;
  return counts;
}

/** Bytes: a checkpoint is due at its page count; this many times as much must not be reached. */
export const walSizeMax = 8 * checkpointPageCount * (4096 + 24);
export const memorySizeMax = 320 << 20;

export async function writeSettings(path: string, database: string, replica: string): Promise<string> {
  const lines = [
    'levels:',
    ...life.levels.map((seconds) => `  - interval: ${seconds}s`),
    'snapshot:',
    `  interval: ${life.snapshotInterval}s`,
    `  retention: ${life.snapshotRetention}s`,
    `l0-retention: ${life.level0Retention}s`,
    `l0-retention-check-interval: ${life.level0Check}s`,
    'verify-compaction: true',
    'validation:',
    `  interval: ${life.validation}s`,
    'dbs:',
    `  - path: ${database}`,
    `    checkpoint-interval: ${life.checkpoint}s`,
    `    min-checkpoint-page-count: ${checkpointPageCount}`,
    '    replica:',
    '      type: file',
    `      path: ${replica}`,
    `      sync-interval: ${life.sync * 1000}ms`,
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

/**
 * Setup of each test file: makes the disk of temporary folders appear half empty to the code of this process. Core chooses by free
 * space where it makes a snapshot, and whether it restores for a drill, so a full disk would decide what a test tests. Other file
 * systems, which a test mounts, report their real free space.
 */
import fs from 'node:fs';
import type { BigIntStatsFs, PathLike, StatsFs } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';

const statfs = fs.statfsSync;
const { dev } = fs.statSync(tmpdir());

function ampleStatfs(path: PathLike, options?: fs.StatFsOptions): StatsFs | BigIntStatsFs {
  const stats = statfs(path, options);
  if (fs.statSync(path).dev !== dev) return stats;
  return Object.assign(stats, {
    bavail: typeof stats.blocks === 'bigint' ? stats.blocks / 2n : Math.floor(stats.blocks / 2),
  });
}

fs.statfsSync = ampleStatfs as typeof statfs;
syncBuiltinESMExports();

/**
 * For each test file: the disk of temporary folders appears half empty to the code of this process, however full it is.
 * Core decides by free space where to make a snapshot and whether to restore for a drill, so a full disk would decide what
 * a test tests. Other file systems, as a test mounts them, report what they have.
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

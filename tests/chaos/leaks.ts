/** What a process has open, from `/proc`. Other systems do not show it. */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';

/** For files, sockets and pipes: far more than a process with one database and one replica needs. */
const descriptorCountMax = 120;
/** For deleted files: one for each time that a database, its `-shm` or a local file was replaced. */
const deletedCountMax = 20;

/** Throws if a process has more open than it can need. */
export function refuseLeaks(pid: number, folder: string): void {
  const path = `/proc/${pid}/fd`;
  if (!existsSync(path)) return;
  const targets = readdirSync(path).flatMap((name) => {
    try {
      return [readlinkSync(`${path}/${name}`)];
    } catch {
      return []; // Closed since it was listed.
    }
  });
  const deleted = targets.filter((target) => target.startsWith(folder) && target.endsWith(' (deleted)'));
  if (targets.length > descriptorCountMax) throw new Error(`${targets.length} descriptors: ${targets.join(' ')}`);
  if (deleted.length > deletedCountMax) throw new Error(`deleted files are still open: ${deleted.join(' ')}`);
}

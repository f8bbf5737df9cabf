/** What a process has open, by `/proc`. Other systems show nothing. */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';

/** Of files, sockets and pipes: what a process with one database and one replica needs, and twice that. */
const descriptorCountMax = 120;
/** Of files that are deleted: one for each time that a database, its `-shm` or a local file was replaced. */
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

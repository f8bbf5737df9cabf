/**
 * Where large temporary files of a database are kept: snapshots until they are uploaded, restored copies until they are
 * proven.
 */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { namesIn, temporaryName } from './temporary-files.ts';

/** Marks the files of this process. A process ID is not enough: in a container, the next process often has the same one. */
const OWN = randomBytes(8).toString('hex');

/** The folders of one database. */
export interface StagingPlace {
  readonly metaPath: string;
  /** Undefined: the metadata folder. */
  readonly stagingPath: string | undefined;
}

/**
 * A new path for a temporary file. After a crash, opening the database removes leftovers from the metadata folder. This function
 * removes those of the same database from a staging folder, which several databases may share.
 */
export function stagedPath({ metaPath, stagingPath }: StagingPlace, fileName: string): string {
  const name = temporaryName(fileName);
  if (stagingPath === undefined) return join(metaPath, name);
  const mine = `litestream-${createHash('sha256').update(resolve(metaPath)).digest('hex').slice(0, 16)}-`;
  removeLeftovers(stagingPath, mine);
  return join(stagingPath, `${mine}${OWN}-${name}`);
}

/**
 * Removes files of other processes on the same metadata folder: we hold the lock of that folder, so they have ended.
 */
function removeLeftovers(folder: string, mine: string): void {
  for (const name of namesIn(folder)) {
    if (!name.startsWith(mine) || name.startsWith(`${mine}${OWN}-`)) continue;
    rmSync(join(folder, name), { force: true });
  }
}

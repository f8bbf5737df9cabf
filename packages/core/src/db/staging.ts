/** Where the files of snapshots lie until they are sent. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TXID } from '@litestream/ltx';
import { formatTxid } from '@litestream/ltx';
import { namesIn, temporaryName } from '../files/safe-files.ts';

/** A new name. In the metadata folder opening a database removes what a crash left; a folder of many is tidied here. */
export function stagedPath(
  { metaPath, stagingPath }: { readonly metaPath: string; readonly stagingPath: string | undefined },
  txid: TXID,
): string {
  const name = temporaryName(`snapshot-${formatTxid(txid)}.ltx`);
  if (stagingPath === undefined) return join(metaPath, name);
  const mine = `litestream-${createHash('sha256').update(resolve(metaPath)).digest('hex').slice(0, 16)}-`;
  removeLeftovers(stagingPath, mine);
  return join(stagingPath, `${mine}${process.pid}-${name}`);
}

/** Of other processes on the same metadata folder: the lock of that folder says that they have ended. */
function removeLeftovers(folder: string, mine: string): void {
  for (const name of namesIn(folder)) {
    if (!name.startsWith(mine) || name.startsWith(`${mine}${process.pid}-`)) continue;
    rmSync(join(folder, name), { force: true });
  }
}

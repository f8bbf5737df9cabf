/**
 * The local level-0 files of each database, shared by its replicas: one replica may still need a file that another has
 * released.
 */
import { LocalLevel0 } from '@litestream/core';
import type { DB, LocalFiles } from '@litestream/core';

const shared = new WeakMap<DB, LocalLevel0>();

/** For one replica of the database; each calls it once. */
export function localFilesOf(db: DB): LocalFiles {
  let level0 = shared.get(db);
  if (level0 === undefined) shared.set(db, (level0 = new LocalLevel0(db.localLtx(0))));
  return level0.forReplica();
}

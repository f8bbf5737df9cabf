/** The changes of a reloaded config, by database. A reload touches nothing else. */
import { isDeepStrictEqual } from 'node:util';
import { Collisions } from '../databases/collisions.ts';
import type { SingleDatabase } from '../databases/directory.ts';
import type { ManagedDatabase, Origin } from '../daemon/managed-database.ts';

export interface Wanted {
  readonly config: SingleDatabase;
  readonly origin: Origin;
}

export interface ReloadPlan {
  readonly added: readonly Wanted[];
  readonly changed: readonly Wanted[];
  /** Paths. */
  readonly removed: readonly string[];
  readonly unchanged: readonly Wanted[];
}

/**
 * Compares the running databases with those of the new config. Databases that came over the socket stay unless the config
 * names them now.
 *
 * @throws LitestreamError `CONFIG_INVALID` if two databases would share a local folder or a replica
 */
export function planReload(running: readonly ManagedDatabase[], wanted: readonly Wanted[]): ReloadPlan {
  const byPath = new Map(wanted.map((each) => [each.config.path, each]));
  const known = new Map(running.map((database) => [database.path, database]));
  const staying = running.filter(({ path, origin }) => origin === 'socket' && !byPath.has(path));
  const collisions = new Collisions();
  for (const { config } of [...staying, ...wanted]) collisions.claim(config);
  const isSame = ({ config }: Wanted): boolean => {
    const before = known.get(config.path);
    return before !== undefined && isDeepStrictEqual(material(before.config), material(config));
  };
  return {
    added: wanted.filter(({ config }) => !known.has(config.path)),
    changed: wanted.filter((each) => known.has(each.config.path) && !isSame(each)),
    removed: running.filter(({ path, origin }) => origin !== 'socket' && !byPath.has(path)).map(({ path }) => path),
    unchanged: wanted.filter(isSame),
  };
}

/** Leaves out settings that matter only at the start: a change of them needs no restart. */
function material(config: SingleDatabase): SingleDatabase {
  return { ...config, restoreIfDbNotExists: false };
}

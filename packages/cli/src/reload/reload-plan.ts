/** What a config that was read again changes: by database, and nothing else is touched. */
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
 * Compares what runs with what is wanted. Databases that came over the socket stay unless the config names them now.
 * @throws LitestreamError `CONFIG_INVALID` if two databases would share a place.
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

/** Settings that matter only at the start are no reason to restart. */
function material(config: SingleDatabase): SingleDatabase {
  return { ...config, restoreIfDbNotExists: false };
}

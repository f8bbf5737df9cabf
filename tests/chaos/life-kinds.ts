import type { Library } from './libraries.ts';
import type { Store } from './store.ts';

/** What a life is made of. */
export interface LifeKind {
  readonly name: string;
  readonly store: Store['kind'];
  /** The library of the class and its application; undefined: the command line replicates. */
  readonly driver?: Library;
  /** The database is on a small disk of its own, where this user may mount one. */
  readonly isOnSmallDisk?: boolean;
}

export const lifeKinds: readonly LifeKind[] = [
  { name: 'command-folder', store: 'folder' },
  { name: 'command-bucket', store: 'bucket' },
  { name: 'command-small-disk', store: 'folder', isOnSmallDisk: true },
  { name: 'class-folder', store: 'folder', driver: 'node:sqlite' },
  { name: 'class-bucket', store: 'bucket', driver: 'better-sqlite3' },
  { name: 'better-folder', store: 'folder', driver: 'better-sqlite3' },
];

/** By its name; throws if there is none. */
export function lifeKind(name: string): LifeKind {
  const kind = lifeKinds.find((each) => each.name === name);
  if (kind === undefined) throw new Error(`no kind of life "${name}"`);
  return kind;
}

/** Refuses databases that share a folder of local files or a replica: each would take the other's files for its own. */
import { LitestreamError, realDatabasePath } from '@litestream/core';
import { pathOfFileUrl } from '../config/file-url.ts';
import { expandPath } from '../config/paths.ts';
import type { ReplicaConfig } from '../config/types.ts';
import { defaultMetaPath } from '../util/local-state.ts';
import type { SingleDatabase } from './directory.ts';

export class Collisions {
  /** Local folder or replica → path of the database that uses it. */
  readonly #places = new Map<string, string>();
  /** Path of a database → its file at the time of the claim: a link may lead to another file later. */
  readonly #files = new Map<string, string>();
  /** File → path of the database. */
  readonly #names = new Map<string, string>();

  /** Reserves the local folder and the replicas of a database. Throws, and reserves none, if another database uses one. */
  claim(database: SingleDatabase): void {
    const places = placesOf(database);
    this.#requireOtherFile(database.path);
    for (const { key, what } of places) {
      const other = this.#places.get(key);
      if (other === undefined) continue;
      if (other === database.path) {
        throw new LitestreamError(`database ${other} is configured twice`, {
          code: 'CONFIG_INVALID',
          object: other,
          hint: 'Give it several replicas with `replicas:`.',
        });
      }
      throw new LitestreamError(`databases ${other} and ${database.path} would share ${what}`, {
        code: 'CONFIG_INVALID',
        object: database.path,
        hint: 'Each would overwrite the files of the other. Give them different folders or replicas.',
      });
    }
    for (const { key } of places) this.#places.set(key, database.path);
    const file = realDatabasePath(database.path);
    this.#files.set(database.path, file);
    this.#names.set(file, database.path);
  }

  /** Paths of the databases that use its local folder or one of its replicas. */
  ownersOf(database: SingleDatabase): readonly string[] {
    return placesOf(database).flatMap(({ key }) => this.#places.get(key) ?? []);
  }

  /** The path under which the file at this path is replicated, if it is. */
  nameOf(path: string): string | undefined {
    return this.#names.get(realDatabasePath(path));
  }

  release(database: SingleDatabase): void {
    for (const { key } of placesOf(database)) this.#places.delete(key);
    this.#names.delete(this.#files.get(database.path) ?? '');
    this.#files.delete(database.path);
  }

  /** One file under two names would be checkpointed and recorded twice. */
  #requireOtherFile(path: string): void {
    const other = this.nameOf(path);
    if (other === undefined || other === path) return;
    throw new LitestreamError(`databases ${other} and ${path} are the same file`, {
      code: 'CONFIG_INVALID',
      object: path,
      hint: 'One is a link to it: replicate it under one name. Give it several replicas with `replicas:`.',
    });
  }
}

function placesOf(database: SingleDatabase): { readonly key: string; readonly what: string }[] {
  const metaPath = database.metaPath ?? defaultMetaPath(database.path);
  const replicas = new Map(database.replicas.map((replica) => [placeOf(replica), replica]));
  return [
    { key: `meta ${metaPath}`, what: `the folder of local files ${metaPath}` },
    ...[...replicas].map(([key, { type, path }]) => ({
      key,
      what: `a replica (type ${type}${path === undefined ? '' : `, path ${path}`})`,
    })),
  ];
}

/** Identifies the location of a replica by all its settings. Not for display: it may hold credentials. */
function placeOf({ type, url, path, settings }: ReplicaConfig): string {
  if (type === 'file') return `file ${expandPath(path ?? pathOfFileUrl(url ?? ''))}`;
  return JSON.stringify([type, url, path, Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** Warnings about unknown keys: most are typing errors, some belong to older versions. */
import { nearest } from '@litestream/core/nearest';
import { configSchema, databaseSchema, leaseSchema, replicaSchema, snapshotSchema } from './schema.ts';

export interface UnknownKey {
  readonly path: readonly PropertyKey[];
  /** A sentence for the user. */
  readonly message: string;
  /** True for a typing error or a key in the wrong place: the intended setting is missing. */
  readonly isSlip: boolean;
}

type Keys = readonly string[];

const ROOT = Object.keys(configSchema.shape);
const DATABASE = Object.keys(databaseSchema.shape);
const REPLICA = Object.keys(replicaSchema.shape);
const SNAPSHOT = Object.keys(snapshotSchema.shape);

const SECTIONS: Readonly<Record<string, Keys>> = {
  socket: ['enabled', 'path', 'permissions', 'endpoints', 'heap-snapshots'],
  snapshot: SNAPSHOT,
  validation: ['interval'],
  drill: ['interval'],
  retention: ['enabled'],
  logging: ['level', 'type', 'stderr', 'source'],
  age: ['identities', 'recipients'],
  lease: Object.keys(leaseSchema.shape),
};

/** Keys of Litestream 0.3 that have no effect in 0.5. */
const OLD: Readonly<Record<string, string>> = {
  retention: 'use snapshot.retention',
  'retention-check-interval': 'retention is checked after each snapshot',
  'snapshot-interval': 'use snapshot.interval',
  'max-checkpoint-page-count': 'use truncate-page-n',
  'shadow-retention-count': 'there is no shadow WAL any more',
  'wal-retention': 'use l0-retention',
  'persist-snapshots': 'snapshots are always kept on the replica',
};

/** @param isBuiltIn whether a replica type belongs to this project. Other types may have keys that only their plugin knows. */
export function unknownKeys(config: unknown, isBuiltIn: (replica: Record<string, unknown>) => boolean): UnknownKey[] {
  const found: UnknownKey[] = [];
  section(config, [], ROOT);
  if (!isRecord(config)) return found;
  for (const name of Object.keys(SECTIONS)) section(config[name], [name]);
  each(config['levels'], ['levels'], (level, path) => section(level, path, ['interval']));
  each(config['dbs'], ['dbs'], (database, path) => {
    section(database, path, DATABASE);
    section(database['snapshot'], [...path, 'snapshot']);
    replica(database['replica'], [...path, 'replica']);
    each(database['replicas'], [...path, 'replicas'], replica);
  });
  return found;

  function replica(value: unknown, path: readonly PropertyKey[]): void {
    if (!isRecord(value) || !isBuiltIn(value)) return;
    section(value, path, REPLICA);
    for (const name of ['age', 'lease']) section(value[name], [...path, name]);
  }

  function section(value: unknown, path: readonly PropertyKey[], keys = SECTIONS[String(path.at(-1))] ?? []): void {
    if (!isRecord(value)) return;
    for (const key of Object.keys(value)) {
      if (!keys.includes(key)) found.push({ path: [...path, key], ...describe([...path, key], keys) });
    }
  }
}

function describe(path: readonly PropertyKey[], keys: Keys): Omit<UnknownKey, 'path'> {
  const key = String(path.at(-1));
  const name = formatPath(path);
  const instead = OLD[key];
  if (instead !== undefined) return { message: `key ${name} is no longer used: ${instead}`, isSlip: false };
  const meant = nearest(key, keys);
  if (meant !== undefined) return { message: `unknown key ${name}: did you mean ${meant}?`, isSlip: true };
  if (path.length > 1 && [ROOT, DATABASE, REPLICA].some((known) => known.includes(key))) {
    return { message: `unknown key ${name}: it belongs in another place, check the indentation`, isSlip: true };
  }
  return { message: `unknown key ${name}: it is ignored`, isSlip: false };
}

/** `dbs[0].replica.sync-interval`. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? String(part) : `.${String(part)}`;
  }
  return text;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function each(
  value: unknown,
  path: readonly PropertyKey[],
  visit: (item: Record<string, unknown>, path: readonly PropertyKey[]) => void,
): void {
  if (!Array.isArray(value)) return;
  for (const [index, item] of value.entries()) {
    if (isRecord(item)) visit(item, [...path, index]);
  }
}

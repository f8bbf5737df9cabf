/** Single checks of a restored database. */
import type { DatabaseSync } from 'node:sqlite';
import { validateReplica } from '@litestream/core';
import type { ReplicaClient } from '@litestream/core';
import { openImmutable, openReadOnly, quoteName } from '../util/sqlite.ts';
import { tablesOf } from '../util/tables.ts';
import { contentChecksum } from './content-checksum.ts';

/** The result of a check. `error` is a sentence with the reason for a failure. */
export interface Finding {
  readonly error?: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

const MESSAGE_COUNT_MAX = 10;

export function integrity(path: string, pragma: 'quick_check' | 'integrity_check'): Finding {
  const rows = read(path, (database) => database.prepare(`PRAGMA ${pragma}(${MESSAGE_COUNT_MAX})`).all());
  const found = rows.map((row) => String(row[pragma]));
  if (found.join() === 'ok') return { details: { result: 'ok' } };
  return { error: `${pragma} found: ${found.join('; ')}`, details: { result: found } };
}

/** Same schema, same rows. */
export function sameContent(sourcePath: string, restoredPath: string): Finding {
  const source = readSource(sourcePath, contentChecksum);
  const restored = read(restoredPath, contentChecksum);
  const details = { source_checksum: source.checksum, restored_checksum: restored.checksum };
  if (source.checksum === restored.checksum) return { details };
  const names = [...new Set([...source.tables.keys(), ...restored.tables.keys()])].sort();
  const differing = names.filter((name) => source.tables.get(name)?.checksum !== restored.tables.get(name)?.checksum);
  const where = differing.length === 0 ? 'in the schema' : `in ${differing.slice(0, MESSAGE_COUNT_MAX).join(', ')}`;
  return {
    error: `checksums do not match: source and restored database differ ${where}`,
    details: { ...details, differing_tables: differing },
  };
}

/** Same tables, same numbers of rows. */
export function sameRowCounts(sourcePath: string, restoredPath: string): Finding {
  const source = readSource(sourcePath, rowCounts);
  const restored = read(restoredPath, rowCounts);
  const names = [...new Set([...source.keys(), ...restored.keys()])].sort();
  const mismatches = names
    .filter((name) => source.get(name) !== restored.get(name))
    .map((name) => ({ table: name, source: source.get(name) ?? null, restored: restored.get(name) ?? null }));
  const details = { tables_checked: names.length };
  if (mismatches.length === 0) return { details };
  const shown = mismatches
    .slice(0, MESSAGE_COUNT_MAX)
    .map(({ table, source, restored }) => `${table} (${source ?? 'missing'} and ${restored ?? 'missing'})`);
  return {
    error: `source and restored database have different numbers of rows in ${shown.join(', ')}`,
    details: { ...details, mismatches },
  };
}

/** Each level is one chain without gaps, with a base; `all` reads every file and verifies its checksum. */
export async function continuity(client: ReplicaClient, all: boolean, signal?: AbortSignal): Promise<Finding> {
  const report = await validateReplica(client, { sample: all ? 'all' : 0, signal });
  const details = { files_listed: report.filesListed, files_verified: report.filesVerified, faults: report.faults };
  if (report.filesListed === 0) return { error: 'the replica holds no LTX files', details };
  if (report.faults.length === 0) return { details };
  const messages = report.faults.slice(0, MESSAGE_COUNT_MAX).map((fault) => fault.message);
  return { error: messages.join('; '), details };
}

function rowCounts(database: DatabaseSync): ReadonlyMap<string, number> {
  return new Map(
    tablesOf(database).map(({ name }) => [
      name,
      Number(database.prepare(`SELECT count(*) AS n FROM ${quoteName(name)}`).get()?.['n']),
    ]),
  );
}

/** Reads the source in one read transaction, so that concurrent writes do not show. */
function readSource<T>(path: string, work: (database: DatabaseSync) => T): T {
  const database = openReadOnly(path);
  try {
    database.exec('BEGIN');
    return work(database);
  } finally {
    database.close();
  }
}

function read<T>(path: string, work: (database: DatabaseSync) => T): T {
  const database = openImmutable(path);
  try {
    return work(database);
  } finally {
    database.close();
  }
}

import type { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { LitestreamError } from '@litestream/core';
import { diskSize, openDatabase, quoteName } from '../util/sqlite.ts';
import { tablesOf } from '../util/tables.ts';
import type { Table } from '../util/tables.ts';

export const CHECKPOINT_MODES = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;
export type CheckpointMode = (typeof CHECKPOINT_MODES)[number];

export interface ShrinkOptions {
  readonly path: string;
  /** Percentage of the rows of each table to delete, 0 to 100. The rows are chosen at random. */
  readonly deletePercentage: number;
  /** Run VACUUM at the end. */
  readonly vacuum: boolean;
  /** Run a checkpoint of this mode after the deletion; undefined: none. */
  readonly checkpoint: CheckpointMode | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before each step with its description, a sentence without a full stop. */
  readonly onStep?: ((step: string) => void) | undefined;
}

export interface CheckpointResult {
  readonly mode: CheckpointMode;
  /** Another connection prevented a complete checkpoint. */
  readonly busy: boolean;
  readonly frameCount: number;
  readonly checkpointedFrameCount: number;
}

/** Sizes in bytes, of the database and the files beside it. */
export interface ShrinkResult {
  readonly initialSize: number;
  readonly sizeAfterDelete: number;
  readonly finalSize: number;
  /** Rows deleted, by table. */
  readonly deleted: Readonly<Record<string, number>>;
  readonly checkpoint: CheckpointResult | undefined;
  readonly durationMs: number;
}

/** Deletes a part of the rows of every table, each table in one transaction. */
export async function shrink(options: ShrinkOptions): Promise<ShrinkResult> {
  const { path, deletePercentage } = options;
  if (!(deletePercentage >= 0 && deletePercentage <= 100)) {
    const message = `delete percentage must be between 0 and 100, not ${deletePercentage}`;
    throw new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'shrink' });
  }
  const startMs = performance.now();
  const initialSize = diskSize(path);
  const done = await work(options);
  // Measured after the connection is closed: the last connection empties the WAL when it closes.
  return { initialSize, ...done, finalSize: diskSize(path), durationMs: performance.now() - startMs };
}

async function work(options: ShrinkOptions): Promise<Pick<ShrinkResult, 'deleted' | 'checkpoint' | 'sizeAfterDelete'>> {
  const { path, deletePercentage, signal, onStep } = options;
  const step = async (what: string): Promise<void> => {
    onStep?.(what);
    // Lets the event loop handle signals.
    await setImmediate();
    signal?.throwIfAborted();
  };
  const database = openDatabase(path);
  try {
    const deleted: Record<string, number> = {};
    for (const table of tablesOf(database)) {
      await step(`deleting from ${table.name}`);
      deleted[table.name] = deleteFrom(database, table, deletePercentage / 100);
    }
    const sizeAfterDelete = diskSize(path);
    let checkpointed: CheckpointResult | undefined;
    if (options.checkpoint !== undefined) {
      await step(`checkpoint ${options.checkpoint}`);
      checkpointed = checkpoint(database, options.checkpoint);
    }
    if (options.vacuum) {
      await step('VACUUM');
      database.exec('VACUUM');
    }
    return { deleted, checkpoint: checkpointed, sizeAfterDelete };
  } finally {
    database.close();
  }
}

function deleteFrom(database: DatabaseSync, { name, key }: Table, share: number): number {
  const table = quoteName(name);
  const total = Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
  const count = Math.floor(total * share);
  if (count === 0) return 0;
  const columns = key.join(', ');
  const target = key.length === 1 ? columns : `(${columns})`;
  const chosen = `SELECT ${columns} FROM ${table} ORDER BY random() LIMIT ?`;
  const sql = count === total ? `DELETE FROM ${table}` : `DELETE FROM ${table} WHERE ${target} IN (${chosen})`;
  return Number(database.prepare(sql).run(...(count === total ? [] : [count])).changes);
}

function checkpoint(database: DatabaseSync, mode: CheckpointMode): CheckpointResult {
  const row = database.prepare(`PRAGMA wal_checkpoint(${mode})`).get() ?? {};
  return {
    mode,
    busy: row['busy'] === 1,
    frameCount: Number(row['log']),
    checkpointedFrameCount: Number(row['checkpointed']),
  };
}

/** Opens the copy of a follower: the one that is there, or one that is restored first. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import { isErrno } from '../storage/file/file-durability.ts';
import type { SqliteDriver } from '../sqlite/driver/sqlite-driver.ts';
import { nodeSqlite } from '../sqlite/driver/node-sqlite.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import { fault } from '../restore/read/ltx-errors.ts';
import { requireReplaceable } from '../restore/write/replaceable.ts';
import { restore } from '../restore/restore.ts';
import type { NewestFile, RestoreOptions } from '../restore/plan/restore-options.ts';
import { readSidecar, writeSidecar } from '../restore/write/sidecar.ts';
import { removeSidecars, targetRecordOf, writeTargetRecord } from '../restore/write/target-record.ts';
import { FollowedDatabase } from './copy.ts';

export interface CopyOptions
  extends
    Op,
    Pick<RestoreOptions, 'output' | 'overwrite' | 'parallelism' | 'integrityCheck' | 'onProgress' | 'logger'> {
  /** Default `nodeSqlite`. A program that reads the copy itself must give its own library. */
  readonly driver?: SqliteDriver | undefined;
}

export interface OpenedCopy {
  readonly copy: FollowedDatabase;
  /** The transaction that it holds, by its `-txid` file; undefined where an existing database is taken over. */
  readonly position: TXID | undefined;
}

/** Rejects as `Follower.open` does. */
export async function openCopy(client: ReplicaClient, options: CopyOptions): Promise<OpenedCopy> {
  const { overwrite = false, driver = nodeSqlite, logger = silentLogger, signal } = options;
  const path = resolve(options.output);
  signal?.throwIfAborted();
  await requireReplaceable(path);
  if (!(await isDatabase(path))) {
    await removeSidecars(path);
    // The sidecars first: killed before the end, there is no database, and it is restored again.
    const beforePublish = async ({ file, header }: NewestFile): Promise<void> => {
      await writeTargetRecord(path, targetRecordOf(file, header, false));
      await writeSidecar(path, file.maxTxid);
    };
    await restore(client, { ...options, output: path }, { ltxOnly: true, beforePublish });
  } else {
    const txid = await readSidecarUnless(overwrite, path);
    if (txid !== undefined)
      logger.info('resuming follow mode from crash recovery', { txid: formatTxid(txid), output: options.output });
  }
  const copy = await FollowedDatabase.open(path, { driver, signal });
  const position = await readSidecarUnless(overwrite, path);
  return { copy, position };
}

/** An empty file is no database yet: a restore replaces it. */
async function isDatabase(path: string): Promise<boolean> {
  try {
    return (await stat(path)).size > 0;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw fault(path, error);
  }
}

async function readSidecarUnless(takeOver: boolean, path: string): Promise<TXID | undefined> {
  try {
    const txid = await readSidecar(path);
    if (txid !== undefined || takeOver) return txid;
  } catch (error) {
    if (takeOver && hasCode(error, 'DATABASE_INVALID')) return undefined;
    throw error;
  }
  throw new LitestreamError(`cannot resume follow mode: database exists but no -txid file found: ${path}`, {
    code: 'OUTPUT_EXISTS',
    operation: 'follow',
    object: path,
    hint: 'Delete the database to restore it from scratch, or compare it with the replica and take it over with -force (`overwrite: true` in code).',
  });
}

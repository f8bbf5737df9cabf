/** A restore drill: restores the newest state of a replica into a temporary file, proves it, and removes the file. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TXID } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import { readLtxHeader } from '../storage/reading/read-header.ts';
import { hasAmpleRoom } from '../local-ltx/writer/disk-room.ts';
import { stagedPath } from '../files/staging.ts';
import type { StagingPlace } from '../files/staging.ts';
import { LitestreamError } from '../util/error.ts';
import { keepingTemporaryFile } from '../files/temporary-files.ts';
import { planRestore } from '../restore/plan/plan.ts';
import { restore } from '../restore/restore.ts';
import { SIDECAR_SUFFIXES } from '../restore/write/sidecars.ts';
import { proveNewest } from '../verify/prove-newest.ts';

/** The newest state of a replica could be restored. */
export interface DrillResult {
  readonly txid: TXID;
  /** Time of the state. */
  readonly timestamp: Date;
  /** The state has the database checksum that its last file states. False if the file states none. */
  readonly isProven: boolean;
  /**
   * False if there was no room for a copy of the database: then all pages were read and the checksum was computed, but SQLite did
   * not check the database.
   */
  readonly isRestored: boolean;
  readonly durationMs: number;
}

/**
 * Rejects with the errors of `restore`, and with `REPLICA_EMPTY` if there is nothing to restore. The copy is made in the staging
 * folder, or in the metadata folder if there is ample room on its disk.
 */
export async function drill(client: ReplicaClient, place: StagingPlace, op: Op = {}): Promise<DrillResult> {
  const startedMs = performance.now();
  const output = stagedPath(place, 'drill.db');
  if (place.stagingPath !== undefined) await mkdir(place.stagingPath, { recursive: true, mode: 0o700 });
  // The database may be opened again meanwhile, which removes temporary files.
  const state = await keepingTemporaryFile(output, async () =>
    (await hasRoom(client, dirname(output), op)) ? restoreTo(output, client, op) : proveOnly(client, op),
  );
  return { ...state, durationMs: performance.now() - startedMs };
}

type DrilledState = Omit<DrillResult, 'durationMs'>;

async function hasRoom(client: ReplicaClient, folder: string, op: Op): Promise<boolean> {
  const last = (await planRestore(client, op)).at(-1);
  if (last === undefined) return true;
  const { commit, pageSize } = await readLtxHeader(client, last, op);
  return hasAmpleRoom(folder, commit * pageSize);
}

async function restoreTo(output: string, client: ReplicaClient, { signal }: Op): Promise<DrilledState> {
  try {
    const { txid, timestamp, proven } = await restore(client, { output, integrityCheck: 'quick', signal });
    return { txid, timestamp, isProven: proven, isRestored: true };
  } finally {
    for (const suffix of ['', ...SIDECAR_SUFFIXES]) await rm(output + suffix, { force: true });
  }
}

async function proveOnly(client: ReplicaClient, op: Op): Promise<DrilledState> {
  const newest = await proveNewest(client, op);
  if (newest === undefined)
    throw new LitestreamError('no backup to restore', { code: 'REPLICA_EMPTY', operation: 'drill' });
  const { txid, timestamp, isProven, fault } = newest;
  if (fault !== undefined) {
    throw new LitestreamError(fault.message, { code: 'CHECKSUM_MISMATCH', operation: 'drill', object: fault.file });
  }
  return { txid, timestamp, isProven, isRestored: false };
}

/** What grows where it must not: looked at from outside, once a second. */
import { readFile, stat } from 'node:fs/promises';
import { headerTimestampMs, levelFiles, replicaFiles } from '../support/replica-folder.ts';

export interface Sample {
  /** Since the start. */
  readonly atMs: number;
  readonly replicaSize: number;
  readonly replicaCount: number;
  /** Files of levels 0 … 9. */
  readonly levelCounts: readonly number[];
  /** Level-0 files beside the database. */
  readonly localCount: number;
  readonly walSize: number;
  /** Resident memory of `litestream replicate`; 0 where the system does not tell. */
  readonly memorySize: number;
}

export interface Watched {
  readonly database: string;
  readonly replica: string;
  /** Folder of the local LTX files. */
  readonly local: string;
  readonly pid: number;
}

export async function takeSample(watched: Watched, atMs: number): Promise<Sample> {
  const files = await replicaFiles(watched.replica);
  return {
    atMs,
    replicaSize: files.reduce((sum, file) => sum + file.size, 0),
    replicaCount: files.length,
    levelCounts: Array.from({ length: 10 }, (_, level) => files.filter((file) => file.level === level).length),
    localCount: (await levelFiles(watched.local, 0)).length,
    walSize: await stat(`${watched.database}-wal`).then(
      ({ size }) => size,
      () => 0,
    ),
    memorySize: await memoryOf(watched.pid),
  };
}

/** Bytes; from `/proc`, where there is one. */
async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/** The header times of the level-0 files, kept after the files are gone: TXID n at index n. */
export class Timeline {
  readonly #timesMs: number[] = [];

  async look(replica: string): Promise<void> {
    for (const { minTxid, path } of await levelFiles(replica, 0)) {
      const txid = Number(minTxid);
      if (this.#timesMs[txid] !== undefined) continue;
      const timeMs = await headerTimestampMs(path).catch(() => undefined);
      if (timeMs !== undefined) this.#timesMs[txid] = timeMs;
    }
  }

  timeMs(txid: bigint): number | undefined {
    return this.#timesMs[Number(txid)];
  }
}

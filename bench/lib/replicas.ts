/** Replicas that are restored from and compacted, in one format that both programs read. */
import { existsSync } from 'node:fs';
import { link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Compactor, DB, FileClient, guardClient } from '@litestream/core';
import { formatLtxFilename } from '@litestream/ltx';
import type { Program } from '../../tests/support/programs.ts';
import { fileUrl } from '../../tests/support/programs.ts';
import { Orders, database } from './database.ts';

/** Changes whenever what is made changes. */
const generation = 2;

/** The share of the large database that the replica of many files has: 354 MB of 1.08 GB. */
const manyFilesShare = 0.328;
export const level0Count = 159;
export const level1Count = 4;
/** Level-0 files in each level-1 file. */
const level1Span = 40;
/** What makes a level-0 file of some 405 kB at full size. */
const rowsPerFile = 95;
const changesPerFile = 20;

/** A replica of one snapshot, written by Go as it writes them. */
export async function snapshotReplica(cache: string, size: number, go: Program): Promise<string> {
  const source = await database(cache, size);
  const folder = join(cache, `snapshot-${size}-v${generation}`);
  return once(folder, async (unfinished) => {
    await go.start('replicate', '-once', '-force-snapshot', source, fileUrl(unfinished)).done(600_000);
    await rm(`${join(cache, `.${source.slice(cache.length + 1)}`)}-litestream`, { recursive: true, force: true });
    // The first level-0 file holds the same pages once more; a restore reads only the snapshot.
    await rm(join(unfinished, 'ltx', '0'), { recursive: true });
  });
}

/** A replica of a snapshot, four level-1 files and 159 level-0 files: what a busy day leaves to be restored. */
export async function manyFilesReplica(cache: string, size: number): Promise<string> {
  const folder = join(cache, `many-files-${size}-v${generation}`);
  const original = await database(cache, Math.round(size * manyFilesShare));
  return once(folder, async (unfinished) => {
    const source = `${unfinished}.db`;
    await copy(original, source);
    try {
      await writeHistory(source, unfinished, Math.max(0.02, Math.min(1, size / 1.08e9)));
    } finally {
      for (const suffix of ['', '-wal', '-shm']) await rm(source + suffix, { force: true });
    }
  });
}

/** The level-0 files of such a replica alone, by hard links, so that a compaction starts from them. */
export async function linkLevel0(replica: string, folder: string): Promise<void> {
  const from = join(replica, 'ltx', '0');
  const to = join(folder, 'ltx', '0');
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) await link(join(from, name), join(to, name));
}

/** Files of a level, by name; their sizes in bytes. */
export async function filesOf(replica: string, level: number): Promise<readonly { path: string; size: number }[]> {
  const folder = join(replica, 'ltx', String(level));
  if (!existsSync(folder)) return [];
  // A file that is being written has another name.
  const names = (await readdir(folder)).filter((name) => name.endsWith('.ltx')).sort();
  return Promise.all(
    names.map(async (name) => ({ path: join(folder, name), size: (await stat(join(folder, name))).size })),
  );
}

async function writeHistory(source: string, folder: string, scale: number): Promise<void> {
  const client = guardClient(new FileClient({ path: folder }));
  const metaPath = `${folder}.meta`;
  try {
    await using db = new DB(source, { metaPath });
    await db.open();
    await db.sync();
    const orders = new Orders(source);
    const local = db.localLtx(0);
    const first = await db.sync();
    await place(local.path(1n, first.txid), folder, 9, first.txid);
    const compactor = new Compactor(client);
    for (let file = 0; file < level1Count * level1Span + level0Count; file += 1) {
      orders.add(Math.ceil(rowsPerFile * scale), Math.ceil(changesPerFile * scale));
      const { txid } = await db.sync();
      await place(local.path(txid, txid), folder, 0, txid);
      const spanEnded = (file + 1) % level1Span === 0 && file < level1Count * level1Span;
      if (!spanEnded) continue;
      await compactor.compact(1);
      await rm(join(folder, 'ltx', '0'), { recursive: true });
    }
    orders.database.close();
  } finally {
    await rm(metaPath, { recursive: true, force: true });
  }
}

/** Gives a local file its place in the replica: to the byte what an upload to a folder leaves there. */
async function place(path: string, replica: string, level: number, txid: bigint): Promise<void> {
  const folder = join(replica, 'ltx', String(level));
  await mkdir(folder, { recursive: true });
  await link(path, join(folder, formatLtxFilename(level === 0 ? txid : 1n, txid)));
}

async function once(folder: string, make: (unfinished: string) => Promise<void>): Promise<string> {
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  try {
    await make(unfinished);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}

async function copy(from: string, to: string): Promise<void> {
  // Nobody has either file open here: copying an open database would drop SQLite's locks on it.
  const { copyFile } = await import('node:fs/promises');
  await copyFile(from, to);
}

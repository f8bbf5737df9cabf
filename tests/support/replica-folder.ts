/** A file replica seen from outside, by names and bytes alone, so that it can judge both programs. */
import { open, readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

export interface ReplicaFile {
  readonly level: number;
  readonly minTxid: bigint;
  readonly maxTxid: bigint;
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

const namePattern = /^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/;

/** LTX files of one level, ascending; none if the level's folder is not there. */
export async function levelFiles(replica: string, level: number): Promise<ReplicaFile[]> {
  const folder = join(replica, 'ltx', String(level));
  const files: ReplicaFile[] = [];
  for (const name of (await namesIn(folder)).sort()) {
    const match = namePattern.exec(name);
    if (match === null) continue;
    const path = join(folder, name);
    const size = await sizeOf(path);
    if (size === undefined) continue; // Deleted by retention since it was listed.
    files.push({
      level,
      minTxid: BigInt(`0x${match[1]}`),
      maxTxid: BigInt(`0x${match[2]}`),
      name,
      path,
      size,
    });
  }
  return files;
}

/** All files, level by level. */
export async function replicaFiles(replica: string): Promise<ReplicaFile[]> {
  const files: ReplicaFile[] = [];
  for (let level = 0; level <= 9; level += 1) files.push(...(await levelFiles(replica, level)));
  return files;
}

/** The highest TXID a level holds, 0 if none. */
export async function levelMaxTxid(replica: string, level = 0): Promise<bigint> {
  return (await levelFiles(replica, level)).at(-1)?.maxTxid ?? 0n;
}

/** The highest TXID of all levels; 0 without files. A snapshot may have a TXID that level 0 lacks. */
export async function replicaMaxTxid(replica: string): Promise<bigint> {
  return (await replicaFiles(replica)).reduce((max, { maxTxid }) => (maxTxid > max ? maxTxid : max), 0n);
}

/** Time of the last commit in an LTX file, from its header: big-endian milliseconds at byte 32. */
export async function headerTimestampMs(path: string): Promise<number> {
  await using file = await open(path, 'r');
  const bytes = Buffer.alloc(8);
  await file.read(bytes, 0, 8, 32);
  return Number(bytes.readBigUInt64BE());
}

/** Puts back the modification times that git does not keep: both programs set them to the header's timestamp. */
export async function restoreTimes(replica: string): Promise<void> {
  for (const file of await replicaFiles(replica)) {
    const time = new Date(await headerTimestampMs(file.path));
    await utimes(file.path, time, time);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** What a server keeps in plain files, seen past it: names, modes, and how the time of a file stands to its content. */
import { open, readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { parseLtxObjectName } from '@litestream/core';

import type { ObjectFacts } from './objects.ts';

/** @param folder the server's data; names are relative to it */
export async function storedFiles(folder: string, path: string): Promise<Map<string, ObjectFacts>> {
  const found = new Map<string, ObjectFacts>();
  for (const entry of await readdir(join(folder, path), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const { mode, mtimeMs } = await stat(file);
    const parent = await stat(entry.parentPath);
    found.set(relative(folder, file), {
      mode: (mode & 0o7777).toString(8),
      'mode of folder': (parent.mode & 0o7777).toString(8),
      ...(parseLtxObjectName(entry.name) === undefined ? {} : { 'modification time': await timeFact(file, mtimeMs) }),
    });
  }
  return found;
}

/** How a file's time stands to the commit time in its header. */
async function timeFact(file: string, modifiedMs: number): Promise<string> {
  const commitMs = await headerTimeMs(file);
  if (modifiedMs === commitMs) return 'time of the commit';
  if (modifiedMs === Math.floor(commitMs / 1000) * 1000) return 'time of the commit, in whole seconds';
  return 'time of the write';
}

/** The timestamp of an LTX file's header, in milliseconds. */
async function headerTimeMs(file: string): Promise<number> {
  await using handle = await open(file, 'r');
  const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 32);
  return Number(buffer.readBigUInt64BE());
}

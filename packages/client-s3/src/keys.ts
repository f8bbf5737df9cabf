import { posix } from 'node:path';

import { type LtxFileRef, ltxObjectName } from '@litestream/core';

/** Folder of a level, four hex digits, with its slash. Keys of a replica with an empty path begin with a slash. */
export function levelPrefix(path: string, level: number): string {
  return `${path}/${level.toString(16).padStart(4, '0')}/`;
}

export function ltxKey(path: string, file: LtxFileRef): string {
  return levelPrefix(path, file.level) + ltxObjectName(file);
}

/**
 * Key of any other object of the replica: with an empty path, it has no slash. The files of v0.3 are under the cleaned path,
 * where that version stored them.
 */
export function objectKey(path: string, key: string): string {
  if (key.startsWith('generations/')) return posix.join(path, key);
  return path === '' ? key : `${path}/${key}`;
}

/** Metadata key of a file's time. */
export const TIMESTAMP_KEY = 'litestream-timestamp';

import { type LtxFileRef, ltxObjectName } from '@litestream/core';
import { posix } from 'node:path';

/** Folder of the LTX files, with its slash. */
export function ltxPrefix(path: string): string {
  return posix.join(path, 'ltx', '/');
}

/** Folder of a level, a decimal number, with its slash. */
export function levelPrefix(path: string, level: number): string {
  return `${ltxPrefix(path)}${level}/`;
}

export function ltxKey(path: string, file: LtxFileRef): string {
  return levelPrefix(path, file.level) + ltxObjectName(file);
}

/** Key of any other object of the replica. */
export function objectKey(path: string, key: string): string {
  return path === '' ? key : `${path}/${key}`;
}

/** Metadata key of a file's time: Azure allows no hyphen in it. */
export const TIMESTAMP_KEY = 'litestreamtimestamp';

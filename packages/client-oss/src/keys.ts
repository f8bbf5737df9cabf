import { ltxObjectName, parseLtxObjectName } from '@litestream/core';
import type { LtxFileRef } from '@litestream/core';

/** Metadata of an object that holds the commit time; the service puts `x-oss-meta-` before it. */
export const TIMESTAMP_KEY = 'litestream-timestamp';

/** `<path>/<level, four hex digits>/`. */
export function levelPrefix(prefix: string, level: number): string {
  return `${prefix}${level.toString(16).padStart(4, '0')}/`;
}

export function ltxKey(prefix: string, file: LtxFileRef): string {
  return levelPrefix(prefix, file.level) + ltxObjectName(file);
}

/** Whether this is the key of an LTX file of this replica, at any level. */
export function isLtxKey(prefix: string, key: string): boolean {
  return (
    key.startsWith(prefix) &&
    /^[0-9a-f]{4}\/[^/]+$/.test(key.slice(prefix.length)) &&
    parseLtxObjectName(key) !== undefined
  );
}

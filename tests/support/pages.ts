/** Databases compared as SQLite sees them: page by page. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

export interface DatabasePages {
  readonly pageSize: number;
  /** First 16 hex digits of the SHA-256 of each page, page 1 first. */
  readonly hashes: readonly string[];
}

/** Reads a database file that no process has open. */
export async function databasePages(path: string): Promise<DatabasePages> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  if (size === 0) return { pageSize: 0, hashes: [] };
  const header = Buffer.alloc(100);
  await file.read(header, 0, 100, 0);
  const stored = header.readUInt16BE(16);
  const pageSize = stored === 1 ? 65536 : stored;
  if (pageSize < 512 || size % pageSize !== 0) throw new Error(`${path}: ${size} bytes of ${pageSize}-byte pages`);
  const hashes: string[] = [];
  const page = Buffer.alloc(pageSize);
  for (let offset = 0; offset < size; offset += pageSize) {
    await file.read(page, 0, pageSize, offset);
    hashes.push(createHash('sha256').update(page).digest('hex').slice(0, 16));
  }
  return { pageSize, hashes };
}

/** What differs between two databases, in a sentence; undefined if nothing does. */
export function pageDifference(a: DatabasePages, b: DatabasePages): string | undefined {
  if (a.pageSize !== b.pageSize) return `page sizes ${a.pageSize} and ${b.pageSize}`;
  if (a.hashes.length !== b.hashes.length) return `${a.hashes.length} and ${b.hashes.length} pages`;
  const pgnos = a.hashes.flatMap((hash, index) => (hash === b.hashes[index] ? [] : [index + 1]));
  if (pgnos.length === 0) return undefined;
  return `${pgnos.length} of ${a.hashes.length} pages differ: ${pgnos.slice(0, 8).join(', ')}`;
}

/** Throws unless two database files are equal page by page. */
export async function assertSamePages(expected: string, actual: string, what: string): Promise<void> {
  const difference = pageDifference(await databasePages(expected), await databasePages(actual));
  if (difference !== undefined) throw new Error(`${what}: ${difference} (${expected}, ${actual})`);
}

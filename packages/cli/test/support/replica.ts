/** What is in the folder of a replica. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Names of its files at a level, in order. The folder alone proves nothing: it is made before the first file is. */
export function ltxNames(replica: string, level = 0): string[] {
  const folder = join(replica, 'ltx', String(level));
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => name.endsWith('.ltx')).sort();
}

/** Is there something to restore? */
export function hasFiles(replica: string): boolean {
  return ltxNames(replica).length > 0;
}

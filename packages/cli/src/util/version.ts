import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_FOLDER } from './package-folder.ts';

/** Version of this package. */
export function version(): string {
  const manifest = JSON.parse(readFileSync(join(PACKAGE_FOLDER, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

/** Version of the SQLite inside Node. */
export function sqliteVersion(): string {
  return process.versions['sqlite'] ?? 'unknown';
}

import { readFileSync } from 'node:fs';

/** Version of this package. */
export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return manifest.version;
}

/** Version of the SQLite inside Node. */
export function sqliteVersion(): string {
  return process.versions['sqlite'] ?? 'unknown';
}

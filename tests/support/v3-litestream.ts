/** The last Litestream of the 0.3 line, whose replicas are restored too. An npm package carries it. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Program } from './programs.ts';

const packageName = `@flydotio/litestream-${process.platform}-${process.arch}`;

/** Undefined on a platform that it was not built for. */
export function v3Program(): Program | undefined {
  try {
    const main = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
    const path = join(dirname(main), 'litestream');
    return existsSync(path) ? new Program('v0.3.13', path, [], process.env) : undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** A configuration of v0.3, with intervals short enough for a test. */
export function v3Config(options: {
  readonly database: string;
  readonly replica: string;
  readonly snapshotInterval?: string;
  readonly retention?: string;
}): string {
  return [
    'dbs:',
    `  - path: ${options.database}`,
    '    monitor-interval: 20ms',
    '    checkpoint-interval: 1s',
    '    min-checkpoint-page-count: 20',
    '    replicas:',
    `      - path: ${options.replica}`,
    '        sync-interval: 20ms',
    `        snapshot-interval: ${options.snapshotInterval ?? '1h'}`,
    `        retention: ${options.retention ?? '24h'}`,
    '        retention-check-interval: 1h',
    '',
  ].join('\n');
}

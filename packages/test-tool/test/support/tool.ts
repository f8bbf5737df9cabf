/** The real commands as processes of their own. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { Child } from '../../../../tests/support/child.ts';
import { removeFolder } from '../../../../tests/support/remove-folder.ts';

const TOOL = fileURLToPath(new URL('../../bin/litestream-test.js', import.meta.url));
const LITESTREAM = fileURLToPath(new URL('../../../cli/bin/litestream.js', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `litestream-test`; it is killed when the test ends. */
export function startTool(...args: string[]): Child {
  return start('litestream-test', TOOL, args);
}

/** Starts `litestream`; it is killed when the test ends. */
export function startLitestream(...args: string[]): Child {
  return start('litestream', LITESTREAM, args);
}

function start(name: string, program: string, args: readonly string[]): Child {
  const env = { ...process.env, LITESTREAM_CONFIG: '/does/not/exist.yml' };
  const child = new Child(`${name} ${args[0] ?? ''}`, process.execPath, [program, ...args], { env });
  onTestFinished(() => child.kill());
  return child;
}

export async function tool(...args: string[]): Promise<Finished> {
  const child = startTool(...args);
  const { code } = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** Runs a command with `-json` that has to succeed; gives what it printed. */
export async function toolJson(...args: string[]): Promise<Record<string, unknown>> {
  const [command = '', ...rest] = args;
  const child = await startTool(command, '-json', ...rest).done();
  return JSON.parse(child.stdout) as Record<string, unknown>;
}

export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'litestream-test-'));
  onTestFinished(() => removeFolder(folder, { force: true }));
  return folder;
}

/** Opens a database for the length of some work. */
export function withDatabase<T>(path: string, work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path, { timeout: 60_000 });
  try {
    return work(database);
  } finally {
    database.close();
  }
}

/** The one value of a query's one row. */
export function valueOf(path: string, sql: string): unknown {
  return withDatabase(path, (database) => Object.values(database.prepare(sql).get() ?? {})[0]);
}

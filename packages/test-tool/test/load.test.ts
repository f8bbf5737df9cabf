import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Child } from '../../../tests/support/child.ts';
import { pause, until } from '../../../tests/support/wait.ts';
import { scratchFolder, startTool, tool, valueOf, withDatabase } from './support/tool.ts';

function database(): string {
  const path = join(scratchFolder(), 'app.db');
  withDatabase(path, (db) => db.exec('PRAGMA journal_mode = WAL; CREATE TABLE mine (x)'));
  return path;
}

const rowCount = 'SELECT count(*) FROM load_test';
const connections = 'SELECT count(DISTINCT substr(text_field, 1, 8)) FROM load_test';

const endOf = (child: Child) => (): string | undefined => (child.exit === undefined ? undefined : child.output);

/** Ends it by a signal, as it has to end well; gives the summary. */
async function stopped(child: Child): Promise<Record<string, unknown>> {
  child.signal('SIGINT');
  await child.done();
  return JSON.parse(child.stdout) as Record<string, unknown>;
}

test('writes as many rows as it says, from several connections', async () => {
  const path = database();
  const flags = ['-db', path, '-write-rate', '0', '-duration', '1h', '-workers', '3', '-batch-size', '5'];
  const child = startTool('load', '-json', ...flags, '-payload-size', '100', '-read-ratio', '0.5');
  const hasWritten = (sql: string, count: number): boolean => hasTable(path) && Number(valueOf(path, sql)) >= count;
  await until('rows of every connection', () => hasWritten(connections, 3), { failed: endOf(child) });
  await until('a hundred transactions', () => hasWritten(rowCount, 500), { failed: endOf(child) });
  const summary = await stopped(child);
  expect(summary['total_errors']).toBe(0);
  expect(summary['total_rows']).toBe(Number(summary['total_writes']) * 5);
  expect(valueOf(path, rowCount)).toBe(summary['total_rows']);
  expect(valueOf(path, connections)).toBe(3);
  expect(valueOf(path, 'SELECT DISTINCT length(data) FROM load_test')).toBe(100);
  // Half of the operations read. With 100 or more of them, a share beyond these bounds is less likely than 1 in 10^9.
  const writes = Number(summary['total_writes']);
  const reads = Number(summary['total_reads']);
  expect(writes + reads).toBeGreaterThan(100);
  expect(reads / (writes + reads)).toBeGreaterThan(0.2);
  expect(reads / (writes + reads)).toBeLessThan(0.8);
});

test('never writes faster than it is told', async () => {
  const path = database();
  const flags = ['-db', path, '-write-rate', '100', '-duration', '1h', '-workers', '2', '-read-ratio', '0'];
  const child = startTool('load', '-json', ...flags);
  await until('some rows', () => hasTable(path) && Number(valueOf(path, rowCount)) > 150, { failed: endOf(child) });
  const summary = await stopped(child);
  expect(summary).toMatchObject({ total_reads: 0, total_errors: 0 });
  expect(summary['total_writes']).toBeLessThanOrEqual(Number(summary['duration_ms']) / 10 + 2);
  expect(valueOf(path, rowCount)).toBe(summary['total_writes']);
});

test('a signal ends it early, with a summary', async () => {
  const path = database();
  const child = startTool('load', '-json', '-db', path, '-duration', '1h', '-workers', '2');
  await until('the first row', () => hasTable(path) && Number(valueOf(path, rowCount)) > 0);
  child.signal('SIGINT');
  expect(await child.exited).toEqual({ code: 0, signal: null });
  expect(child.stderr).toContain('Received interrupt signal, stopping load generation');
  const summary = JSON.parse(child.stdout) as Record<string, unknown>;
  expect(valueOf(path, rowCount)).toBe(summary['total_writes']);
});

test('counts operations that fail, names the first ones and exits with 1', async () => {
  const path = database();
  const child = startTool('load', '-json', '-db', path, '-duration', '1h', '-write-rate', '200', '-read-ratio', '0');
  await until('the first row', () => hasTable(path) && Number(valueOf(path, rowCount)) > 0);
  withDatabase(path, (db) => db.exec('DROP TABLE load_test'));
  const named = (): number => child.stderr.match(/Operation failed.*no such table/g)?.length ?? 0;
  await until('the first failures', () => named() >= 5, { failed: endOf(child) });
  await pause(200, 'further failures, which are counted and not named');
  child.signal('SIGINT');
  expect(await child.exited).toEqual({ code: 1, signal: null });
  expect(named()).toBe(5);
  const summary = JSON.parse(child.stdout) as Record<string, unknown>;
  expect(summary['total_errors']).toBeGreaterThanOrEqual(5);
});

test.each([
  [[], 'Error: database path required'],
  [['-db', '/does/not/exist.db'], 'Error: database does not exist: /does/not/exist.db'],
  [['-db', '/does/not/exist.db', '-pattern', 'square'], 'must be one of constant, burst, random, wave'],
  [['-db', '/does/not/exist.db', '-read-ratio', '1.5'], 'must be between 0 and 1'],
  [['-db', '/does/not/exist.db', '-duration', '0s'], 'must be greater than 0'],
])('refuses %j', async (flags, message) => {
  const { code, stderr } = await tool('load', ...flags);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
});

test('refuses what is no database', async () => {
  const { code, stderr } = await tool('load', '-db', new URL(import.meta.url).pathname, '-duration', '1s');
  expect(stderr).toContain('file is not a database');
  expect(code).toBe(1);
});

function hasTable(path: string): boolean {
  return valueOf(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'load_test'") === 1;
}

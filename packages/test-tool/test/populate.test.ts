import { existsSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../../tests/support/wait.ts';
import { scratchFolder, startTool, tool, toolJson, valueOf, withDatabase } from './support/tool.ts';

const MEBIBYTE = 2 ** 20;

test.each([512, 4096, 65_536])('fills a database of %d-byte pages to its size', async (pageSize) => {
  const path = join(scratchFolder(), 'app.db');
  const flags = ['-db', path, '-target-size', '6MB', '-page-size', String(pageSize), '-table-count', '3'];
  const summary = await toolJson('populate', ...flags, '-index-ratio', '0.5', '-row-size', '700');
  expect(summary).toMatchObject({ db_path: path, page_size: pageSize });
  expect(statSync(path).size).toBe(summary['size']);
  expect(summary['size']).toBeGreaterThanOrEqual(6 * MEBIBYTE);
  expect(summary['size']).toBeLessThan(6 * MEBIBYTE + 16 * Math.max(pageSize, 4096));
  expect(valueOf(path, 'PRAGMA integrity_check')).toBe('ok');
  expect(valueOf(path, 'PRAGMA page_size')).toBe(pageSize);
  expect(valueOf(path, 'PRAGMA journal_mode')).toBe('wal');
  const counts = [0, 1, 2].map((table) => Number(valueOf(path, `SELECT count(*) FROM test_table_${table}`)));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(summary['rows']);
  for (const count of counts) expect(count).toBeGreaterThan(1000);
  expect(valueOf(path, 'SELECT DISTINCT length(data) FROM test_table_1')).toBe(700);
  expect(
    valueOf(
      path,
      "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE tbl_name = 'test_table_2' AND type = 'index' ORDER BY 1)",
    ),
  ).toBe('idx_test_table_2_int,idx_test_table_2_timestamp');
});

test('replaces a database and the files beside it', async () => {
  const path = join(scratchFolder(), 'app.db');
  withDatabase(path, (database) => database.exec('CREATE TABLE old (x)'));
  writeFileSync(`${path}-wal`, 'of another database');
  await toolJson('populate', '-db', path, '-target-size', '100KB', '-batch-size', '7');
  expect(
    valueOf(path, "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"),
  ).toBe('test_table_0');
});

test('refuses to replace what is no regular file', async () => {
  const folder = scratchFolder();
  const path = join(folder, 'app.db');
  writeFileSync(join(folder, 'real.db'), 'precious');
  symlinkSync('real.db', path);
  const { code, stderr } = await tool('populate', '-db', path, '-target-size', '100KB');
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`cannot replace, not a regular file: ${path}`),
  });
  expect(readlinkSync(path)).toBe('real.db');
  expect(readFileSync(path, 'utf8')).toBe('precious');
});

test('a signal ends it and leaves a sound database', async () => {
  const path = join(scratchFolder(), 'app.db');
  const child = startTool('populate', '-db', path, '-target-size', '1TB', '-batch-size', '10');
  await until('the first rows', () => existsSync(path) && statSync(path).size > MEBIBYTE);
  child.signal('SIGTERM');
  expect(await child.exited).toEqual({ code: 1, signal: null });
  expect(child.stderr).toContain('Error: interrupted');
  expect(valueOf(path, 'PRAGMA integrity_check')).toBe('ok');
  expect(existsSync(`${path}-wal`)).toBe(false);
});

test.each([
  [['-target-size', '1MB'], 'Error: database path required'],
  [['-db', 'x', '-page-size', '5000'], 'page size must be a power of two'],
  [['-db', 'x', '-target-size', 'big'], 'invalid value "big" for flag -target-size: parse error'],
  [['-db', 'x', '-index-ratio', '2'], 'must be between 0 and 1'],
  [['-db', 'x', 'y'], 'unexpected argument: y'],
])('refuses %j', async (flags, message) => {
  const { code, stderr } = await tool('populate', ...flags);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
  expect(existsSync('x')).toBe(false);
});

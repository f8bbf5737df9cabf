/** `ltx`: the table and the JSON of Litestream for Go, and more only when it is asked for. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run, scratchFolder } from './support/cli.ts';
import { createDatabase, insertRows } from './support/database.ts';

test('lists files, with the time of their earliest transaction on request', async () => {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const url = `file://${join(folder, 'replica')}`;
  createDatabase(database, 5);
  for (const flags of [[], ['-force-snapshot']]) {
    expect((await run(['replicate', '-once', ...flags, database, url])).exitCode).toBe(0);
    insertRows(database, 1);
  }
  const list = async (...flags: string[]): Promise<string> =>
    (await run(['ltx', '-level', 'all', ...flags, url])).stdout;
  expect(await list()).toMatch(/^level  min_txid  +max_txid  +size +created\n0 /);
  const rows = (await list('-created-at'))
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ +/));
  expect(rows[0]).toEqual(['level', 'min_txid', 'max_txid', 'size', 'created', 'earliest']);
  // A raw file holds one transaction, and a snapshot does not know when its history began.
  for (const [level, , , , created, earliest] of rows.slice(1)) expect(earliest).toBe(level === '0' ? created : '-');
  expect(rows.some(([level]) => level === '9')).toBe(true);

  const plain = JSON.parse(await list('-json')) as Record<string, unknown>[];
  const timed = JSON.parse(await list('-json', '-created-at')) as Record<string, unknown>[];
  expect(Object.keys(plain[0] ?? {})).toEqual(['level', 'min_txid', 'max_txid', 'size', 'timestamp']);
  for (const [index, file] of timed.entries()) {
    const time = file['level'] === 0 ? { created_at: file['timestamp'] } : {};
    expect(file).toEqual({ ...plain[index], ...time });
  }
});

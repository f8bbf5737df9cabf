/** A database that is larger than the memory we allow ourselves is replicated and restored. */
import { readFileSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import { fileUrl, ourProgram } from '../support/programs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** What a restore may take, whatever the size; the database is well past it. */
const memoryMax = 256 * 2 ** 20;
const databaseSize = 340 * 2 ** 20;

/** Prints the most memory that the process had, whatever it does. */
const report = `process.on('exit', () => console.error('maxRSS=' + process.resourceUsage().maxRSS))`;

async function memoryOf(...args: string[]): Promise<number> {
  const flags = ['--import', `data:text/javascript,${encodeURIComponent(report)}`];
  const child = await new Child(args[0] ?? '', process.execPath, [...flags, ourProgram, ...args]).done(280_000);
  const [, kilobytes] = /maxRSS=(\d+)/.exec(child.stderr) ?? [];
  if (kilobytes === undefined) throw new Error(`no memory in the output of ${args[0]}:\n${child.output}`);
  return Number(kilobytes) * 1024;
}

test('memory stays bounded while a database larger than the bound is replicated and restored', async () => {
  await using folder = await temporaryFolder('memory');
  const path = join(folder.path, 'app.db');
  const database = new DatabaseSync(path);
  // Nobody needs it after a crash: so it is made quickly.
  database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; CREATE TABLE t (payload BLOB)');
  const insert = database.prepare('INSERT INTO t VALUES (randomblob(?))');
  for (let size = 0; size < databaseSize; size += 4 << 20) insert.run(4 << 20);
  database.exec('PRAGMA journal_mode = WAL');
  database.close();
  expect(statSync(path).size).toBeGreaterThan(1.3 * memoryMax);

  const replica = fileUrl(join(folder.path, 'replica'));
  const output = join(folder.path, 'restored.db');
  const replicating = await memoryOf('replicate', '-once', path, replica);
  const restoring = await memoryOf('restore', '-o', output, replica);
  console.log(`replicate ${Math.round(replicating / 2 ** 20)} MiB, restore ${Math.round(restoring / 2 ** 20)} MiB`);
  expect(replicating).toBeLessThan(memoryMax);
  expect(restoring).toBeLessThan(memoryMax);
  const hash = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
  // Replicating adds two tables of its own, which are still in the log.
  const source = new DatabaseSync(path);
  source.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  source.close();
  expect(hash(output)).toBe(hash(path));
}, 600_000);

/** The examples of embedding, each as the program it is. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Litestream } from '@litestream/core';
import { expect, onTestFinished, test } from 'vitest';
import { Child } from '../support/child.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/wait.ts';

async function scratch(): Promise<string> {
  const folder = await temporaryFolder('example');
  onTestFinished(() => folder[Symbol.asyncDispose]());
  return folder.path;
}

// A runner that wants colours says so in the environment; what is read here has none.
const { FORCE_COLOR: _, NO_COLOR: __, ...env } = process.env;

function example(name: string, ...args: string[]): Child {
  const child = new Child(
    name,
    process.execPath,
    ['--no-warnings', join(repositoryRoot, 'examples', 'embed', name), ...args],
    { env },
  );
  onTestFinished(() => child.kill());
  return child;
}

test.each([
  ['node-sqlite.ts', "[ [Object: null prototype] { text: 'written with node:sqlite' } ]\n"],
  ['better-sqlite3.ts', "[ { text: 'written with better-sqlite3' } ]\n"],
  ['kysely.ts', "[ { text: 'written with Kysely' } ]\n"],
  ['drizzle.ts', "[ { text: 'written with Drizzle' } ]\n"],
])('%s writes, replicates and restores', async (name, expected) => {
  const { stdout, stderr } = await example(name, await scratch()).done();
  expect({ stdout, stderr }).toEqual({ stdout: expected, stderr: '' });
});

test('tracing.ts sees every operation it caused', async () => {
  const { stdout } = await example('tracing.ts', await scratch()).done();
  const seen = new Set(stdout.split('\n').map((line) => line.replace(/ [\d.]+ ms$/, '')));
  for (const operation of ['sync', 'upload', 'snapshot', 'restore']) expect(seen).toContain(`${operation} ok`);
});

test('read-replica.ts follows until it is stopped', async () => {
  const folder = await scratch();
  const replica = join(folder, 'replica');
  await mkdir(replica);
  const database = new DatabaseSync(join(folder, 'app.db'));
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE notes (text); INSERT INTO notes VALUES (1)');
  await using litestream = new Litestream();
  const source = await litestream.replicate(join(folder, 'app.db'), replica);
  await source.replicated();
  const child = example('read-replica.ts', `file://${replica}`, join(folder, 'copy.db'));
  const failed = (): string | undefined => (child.exit === undefined ? undefined : child.output);
  await until('the first state', () => child.stdout.includes('notes: 1'), { failed });
  database.exec('INSERT INTO notes VALUES (2)');
  await source.replicated();
  await until('the next state', () => child.stdout.includes('notes: 2'), { failed });
  await child.stop();
  expect(child.stderr).toBe('');
  database.close();
});

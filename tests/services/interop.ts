/**
 * On a running service: one program replicates while an application writes, is killed, and both programs restore. Then
 * what lies there is compared: names, metadata and everything else beside the bytes must be the same whoever wrote it.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { guardClient, restore } from '@litestream/core';

import { Child } from '../support/child.ts';
import { goEnvironment, goLitestream } from '../support/go-litestream.ts';
import { createClient, replicaConfig } from './clients.ts';
import { type ObjectFacts, storedObjects } from './objects.ts';
import { scratchFolder } from './process.ts';
import type { RunningService } from './service.ts';

type Program = 'go' | 'ours';

const QUIET_MS = 1500;
const DEADLINE_MS = 60_000;

/** @returns how many files each program wrote, for the table */
export async function interop(running: RunningService): Promise<string> {
  const go = await killAndRestore(running, 'go');
  const ours = await killAndRestore(running, 'ours');
  const names = [...shapesOf(go).keys()];
  assert.ok(names.length > 0, 'Go wrote nothing');
  assert.deepEqual(shapesOf(ours), shapesOf(go), 'what we store differs from what Go stores');
  return `go ${go.size} files, ours ${ours.size} files`;
}

async function killAndRestore(running: RunningService, program: Program): Promise<Map<string, ObjectFacts>> {
  const folder = await scratchFolder('interop');
  const path = `interop-${program}`;
  try {
    const database = join(folder.path, 'app.db');
    const replica = await replicaConfig(running, path);
    const config = await writeConfig(folder.path, database, replica, running);
    using app = openApp(database);
    insertRows(app, 50);
    await using replicator = await startReplicator(program, { database, config, replica, running });
    await untilFollowed(running, path, replicator);
    for (let round = 0; round < 10; round++) {
      insertRows(app, 20);
      await sleep(100);
    }
    await untilQuiet(running, path, replicator);
    await replicator.kill();
    const expected = contentOf(app);
    for (const by of ['go', 'ours'] as const) {
      const output = join(folder.path, `${by}.db`);
      await (by === 'go' ? restoreByGo(running, config, database, output) : restoreByUs(running, path, output));
      using restored = new DatabaseSync(output, { readOnly: true });
      assert.deepEqual(contentOf(restored), expected, `${program} wrote, ${by} restored something else`);
    }
    return (await storedObjects(running, path)) ?? new Map();
  } finally {
    await folder.remove();
  }
}

async function startReplicator(
  program: Program,
  what: { database: string; config: string; replica: object; running: RunningService },
): Promise<Child> {
  const { database, config, replica, running } = what;
  if (program === 'go') {
    const env = { ...goEnvironment(), ...running.env };
    return new Child('go replicate', await goLitestream(), ['replicate', '-config', config], { env });
  }
  const script = join(dirname(fileURLToPath(import.meta.url)), 'replicate-child.ts');
  const env = { ...process.env, ...running.env };
  return new Child('our replicate', process.execPath, [script, database, JSON.stringify(replica)], { env });
}

async function restoreByGo(running: RunningService, config: string, database: string, output: string): Promise<void> {
  const args = ['restore', '-config', config, '-o', output, database];
  await new Child('go restore', await goLitestream(), args, { env: { ...goEnvironment(), ...running.env } }).done();
}

async function restoreByUs(running: RunningService, path: string, output: string): Promise<void> {
  await using client = guardClient(await createClient(running, path));
  await client.init();
  await restore(client, { output, integrityCheck: 'full' });
}

/** JSON is YAML: both programs read it. */
async function writeConfig(
  folder: string,
  database: string,
  replica: object,
  running: RunningService,
): Promise<string> {
  const file = join(folder, 'litestream.yml');
  const settings = { 'sync-interval': '100ms' };
  await writeFile(
    file,
    JSON.stringify({ dbs: [{ path: database, replica: { ...replica, ...running.goConfig, ...settings } }] }),
  );
  return file;
}

/** Waits until the first file has arrived. */
async function untilFollowed(running: RunningService, path: string, replicator: Child): Promise<void> {
  await untilArrived(running, path, replicator, (last) => last > 0n);
}

/** Waits until none has arrived for a while. */
async function untilQuiet(running: RunningService, path: string, replicator: Child): Promise<void> {
  await untilArrived(running, path, replicator, (last, unchangedMs) => last > 0n && unchangedMs >= QUIET_MS);
}

/** @param enough asked again and again with the last TXID that arrived, 0 for none, and how long it has been that one */
async function untilArrived(
  running: RunningService,
  path: string,
  replicator: Child,
  enough: (last: bigint, unchangedMs: number) => boolean,
): Promise<void> {
  await using client = await createClient(running, path);
  await client.init();
  const startedAtMs = Date.now();
  let last = 0n;
  for (let changedAtMs = startedAtMs; !enough(last, Date.now() - changedAtMs); await sleep(200)) {
    if (replicator.exit !== undefined) throw new Error(`${replicator.name} ended:\n${replicator.output}`);
    if (Date.now() - startedAtMs > DEADLINE_MS) throw new Error(`nothing arrived:\n${replicator.output}`);
    const files = await Array.fromAsync(client.ltxFiles(0));
    const max = files.at(-1)?.maxTxid ?? 0n;
    if (max !== last) changedAtMs = Date.now();
    last = max;
  }
}

function openApp(path: string): DatabaseSync {
  const app = new DatabaseSync(path, { timeout: 5000 });
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE notes (id INTEGER PRIMARY KEY, text BLOB)');
  return app;
}

function insertRows(app: DatabaseSync, count: number): void {
  const insert = app.prepare('INSERT INTO notes (text) VALUES (?)');
  for (let row = 0; row < count; row++) insert.run(randomBytes(2000));
}

function contentOf(app: DatabaseSync): unknown {
  return app.prepare('SELECT id, hex(text) AS text FROM notes ORDER BY id').all();
}

/** Each kind of object once: digits of names and times generalised, the number of fraction digits with them. */
function shapesOf(objects: ReadonlyMap<string, ObjectFacts>): Map<string, ObjectFacts> {
  const shapes = new Map<string, ObjectFacts>();
  for (const [name, facts] of objects) {
    // Snapshots and compacted files come when a timer says so: only level 0 is there on both sides for certain.
    if (!/\/0+\//.test(name)) continue;
    const shape = name.replace(/^interop-(go|ours)/, 'PATH').replace(/[0-9a-f]{16}/g, 'TXID');
    const general = Object.entries(facts).map(([key, value]) => [
      key,
      value.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z$/, 'TIME'),
    ]);
    shapes.set(shape, Object.fromEntries(general));
  }
  return shapes;
}

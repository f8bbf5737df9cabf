/**
 * On a running service: one program replicates while an application writes, is killed, and both programs restore. Then
 * what lies there is compared: names, metadata and everything else beside the bytes must be the same whoever wrote it.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { Child } from '../support/child.ts';
import { goEnvironment, goLitestream } from '../support/go-litestream.ts';
import { ourProgram } from '../support/programs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pause } from '../support/wait.ts';
import { createClient, replicaConfig } from './clients.ts';
import { type ObjectFacts, storedObjects } from './objects.ts';
import type { RunningService } from './service.ts';

type Program = 'go' | 'ours';

const QUIET_MS = 1500;
const DEADLINE_MS = 60_000;

/** What either program wrote, restored by both, equal to the source each time. */
export interface InteropResult {
  readonly go: WrittenBy;
  readonly ours: WrittenBy;
  /** Names and metadata of what was compared: each kind of object once, what differs from write to write left out. */
  readonly shapes: Readonly<Record<string, ObjectFacts>>;
}

interface WrittenBy {
  readonly files: number;
  readonly rows: number;
}

/** Rejects if a restored database differs from its source, or what we store from what Go stores. */
export async function interop(running: RunningService): Promise<InteropResult> {
  const go = await killAndRestore(running, 'go');
  const ours = await killAndRestore(running, 'ours');
  const different = new Set(Object.keys(running.goDiffers ?? {}));
  const shapes = shapesOf(go.objects, different);
  assert.ok(shapes.size > 0, 'Go wrote nothing');
  assert.deepEqual(shapesOf(ours.objects, different), shapes, 'what we store differs from what Go stores');
  const written = ({ objects, rows }: Killed): WrittenBy => ({ files: objects.size, rows });
  return { go: written(go), ours: written(ours), shapes: Object.fromEntries(shapes) };
}

interface Killed {
  readonly objects: ReadonlyMap<string, ObjectFacts>;
  readonly rows: number;
}

async function killAndRestore(running: RunningService, program: Program): Promise<Killed> {
  await using folder = await temporaryFolder('interop');
  const path = `interop-${program}`;
  const database = join(folder.path, 'app.db');
  const replica = await replicaConfig(running, path);
  const config = await writeConfig(folder.path, database, replica, running);
  using app = openApp(database);
  insertRows(app, 50);
  await using replicator = await start(program, running, ['replicate', '-config', config]);
  await untilFollowed(running, path, replicator);
  for (let round = 0; round < 10; round++) {
    insertRows(app, 20);
    await pause(100, 'the pace of an application');
  }
  await untilQuiet(running, path, replicator);
  await replicator.kill();
  const expected = contentOf(app);
  for (const by of ['go', 'ours'] as const) {
    const output = join(folder.path, `${by}.db`);
    await (await start(by, running, ['restore', '-config', config, '-o', output, database])).done();
    using restored = new DatabaseSync(output, { readOnly: true });
    assert.deepEqual(contentOf(restored), expected, `${program} wrote, ${by} restored something else`);
  }
  return { objects: (await storedObjects(running, path)) ?? new Map(), rows: expected.length };
}

/** Either program as a user starts it. */
async function start(program: Program, running: RunningService, args: readonly string[]): Promise<Child> {
  const name = `${program} ${args[0]}`;
  const env = { ...goEnvironment(), ...running.env };
  return program === 'go'
    ? new Child(name, await goLitestream(), args, { env })
    : new Child(name, process.execPath, [ourProgram, ...args], { env });
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
  for (let changedAtMs = startedAtMs; !enough(last, Date.now() - changedAtMs); await pause(200, 'between two looks')) {
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

function contentOf(app: DatabaseSync): unknown[] {
  return app.prepare('SELECT id, hex(text) AS text FROM notes ORDER BY id').all();
}

/** Each kind of object once: digits of names and times generalised, the number of fraction digits with them. */
function shapesOf(objects: ReadonlyMap<string, ObjectFacts>, different: ReadonlySet<string>): Map<string, ObjectFacts> {
  const shapes = new Map<string, ObjectFacts>();
  for (const [name, facts] of objects) {
    // Snapshots and compacted files come when a timer says so: only level 0 is there on both sides for certain.
    if (!/\/0+\//.test(name)) continue;
    const shape = name.replace(/^interop-(go|ours)/, 'PATH').replace(/[0-9a-f]{16}/g, 'TXID');
    const compared = Object.entries(facts).filter(([key]) => !different.has(key));
    const general = compared.map(([key, value]) => [
      key,
      value.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z$/, 'TIME'),
    ]);
    shapes.set(shape, Object.fromEntries(general));
  }
  return shapes;
}

/**
 * Damaged local files. A database and its metadata folder are copied as a crash would leave them, one file is damaged, and
 * replication continues there. It must end with one of our errors, or a restore must equal the database that SQLite reads.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Litestream, isLitestreamError } from '@litestream/core';
import type { Random } from './random.ts';
import { removeFolder } from '../support/remove-folder.ts';

const PAGE_SIZES = [512, 4096, 65_536];
/** Commits before the crash. */
const COMMITS_MAX = 12;
const LIMIT_MS = 30_000;

export interface Outcome {
  /** The damaged file, and how it was damaged. */
  readonly what: string;
  readonly result: 'replicated' | 'refused';
}

/** Throws if the replica is not the database, or if an error is not one of ours. */
export async function damageLocalFiles(random: Random): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'litestream-fuzz-'));
  try {
    const image = await crashImage(join(folder, 'before'), join(folder, 'image'), random);
    const what = damage(image, random);
    return { what, result: await goOn(image, what, random) };
  } finally {
    removeFolder(folder, { force: true });
  }
}

/** A folder with `app.db`, its WAL, its metadata folder and its replica, copied while both programs had it open. */
async function crashImage(before: string, image: string, random: Random): Promise<string> {
  mkdirSync(before);
  const path = join(before, 'app.db');
  const app = new DatabaseSync(path);
  app.exec(`PRAGMA page_size = ${random.of(PAGE_SIZES)}; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0`);
  app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)');
  const litestream = new Litestream({ store: false });
  const db = await litestream.replicate(path, join(before, 'replica'), { checkpointIntervalMs: 0 });
  for (let commits = 1 + random.below(COMMITS_MAX); commits > 0; commits -= 1) {
    write(app, random);
    if (random.below(3) > 0) await db.replicated();
    if (random.below(4) === 0) app.exec(`PRAGMA wal_checkpoint(${random.of(['PASSIVE', 'RESTART', 'TRUNCATE'])})`);
  }
  const isClean = random.below(3) === 0;
  if (isClean) {
    app.close();
    await litestream.stop();
  }
  // Another process copies: closing a descriptor of the database in this one would drop the locks of SQLite.
  const copied = spawnSync('cp', ['-a', before, image], { encoding: 'utf8' });
  if (copied.status !== 0) throw new Error(copied.stderr);
  if (!isClean) {
    app.close();
    await litestream.stop();
  }
  return image;
}

function write(app: DatabaseSync, random: Random): void {
  const id = random.below(40);
  const sql = random.of([
    `INSERT INTO t (x) VALUES (randomblob(${random.below(5000)}))`,
    `UPDATE t SET x = zeroblob(length(x)) WHERE id % 7 = ${id % 7}`,
    `DELETE FROM t WHERE id = ${id}`,
    `INSERT INTO t (x) SELECT randomblob(200) FROM t LIMIT ${id}`,
  ]);
  app.exec(sql);
}

const METADATA = '.app.db-litestream';

/** Damages one file of the image. Returns what was done. */
function damage(image: string, random: Random): string {
  const level0 = join(METADATA, 'ltx', '0');
  const files = [join(METADATA, 'ledger'), join(METADATA, 'rest.json'), 'app.db-wal', 'app.db-shm'];
  for (const name of existsSync(join(image, level0)) ? readdirSync(join(image, level0)) : [])
    files.push(join(level0, name));
  const name = random.of(files.filter((each) => existsSync(join(image, each))));
  const path = join(image, name);
  const bytes = readFileSync(path);
  const at = bytes.length === 0 ? 0 : random.below(bytes.length);
  const [how, damaged] = random.of<readonly [string, () => Buffer | undefined]>([
    ['a byte was changed', () => changed(bytes, at)],
    ['it was cut', () => bytes.subarray(0, at)],
    ['a part was zeroed', () => Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + 1 + random.below(500)))],
    ['it is empty', () => Buffer.alloc(0)],
    ['it is missing', () => undefined],
    ['it is longer', () => Buffer.concat([bytes, bytes.subarray(at)])],
    ['it is garbage', () => Buffer.from(Array.from({ length: 300 }, () => random.below(256)))],
  ]);
  const content = damaged();
  if (content === undefined) rmSync(path);
  else writeFileSync(path, content);
  return `${name}: ${how} (${bytes.length} bytes, at ${at})`;
}

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ 0x55;
  return copy;
}

async function goOn(image: string, what: string, random: Random): Promise<Outcome['result']> {
  const path = join(image, 'app.db');
  const signal = AbortSignal.timeout(LIMIT_MS);
  const litestream = new Litestream({ store: false });
  let app: DatabaseSync | undefined;
  try {
    app = new DatabaseSync(path);
    write(app, random);
    const db = await litestream.replicate(path, join(image, 'replica'), { signal });
    write(app, random);
    await db.replicated({ signal });
    const output = join(image, 'restored.db');
    await litestream.restore(join(image, 'replica'), { output, integrityCheck: 'full', signal });
    const [wanted, found] = [contentOf(path), contentOf(output)];
    if (wanted !== found) throw new Error(`the replica is another database: ${found} in place of ${wanted}`);
    return 'replicated';
  } catch (error) {
    if (signal.aborted) throw new Error(`no end within ${LIMIT_MS} ms`, { cause: error });
    if (!isExpected(error)) throw new Error(`after damage: ${what}`, { cause: error });
    return 'refused';
  } finally {
    app?.close();
    await litestream.stop({ finalSync: false }).catch(() => undefined);
  }
}

/** SQLite may refuse a database whose files are damaged, too. */
function isExpected(error: unknown): boolean {
  return isLitestreamError(error) || (error as NodeJS.ErrnoException).code === 'ERR_SQLITE_ERROR';
}

function contentOf(path: string): string {
  const db = new DatabaseSync(path);
  try {
    const rows = db.prepare('SELECT id, hex(x) AS x FROM t ORDER BY id').all();
    return `${statSync(path).size > 0 ? rows.length : 0} rows ${hash(JSON.stringify(rows))}`;
  } finally {
    db.close();
  }
}

function hash(text: string): number {
  let value = 0;
  for (let index = 0; index < text.length; index += 1) value = (Math.imul(value, 31) + text.charCodeAt(index)) >>> 0;
  return value;
}

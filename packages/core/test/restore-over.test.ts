/** A restore over a database that exists, killed: there is the old database with all its commits, or the new one. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { pause } from '../../../tests/support/wait.ts';
import { FileClient, Litestream, guardClient, restore } from '../src/index.ts';
import { SHORT_QUIET_MS, seedOf } from './helpers/db-lab.ts';
import { Seeded } from '../src/testing/seeded.ts';
import type { Fault } from './helpers/faulty-fs.ts';
import { statisticsTable } from './helpers/large-schema.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const script = fileURLToPath(new URL('helpers/restore-over.ts', import.meta.url));
const SUFFIXES = ['', '-wal', '-shm', '-journal'];
const OLD_ROWS = 400;

const base = temporaryFolder('restore-over');
let folder: string;
let replica: string;
let output: string;

/** Runs `code` with a database `d` at the path in a process that is killed then, so that the side files stay. */
function runAndKill(path: string, code: string): void {
  const program = `const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(${JSON.stringify(path)});${code};process.kill(process.pid,'SIGKILL')`;
  const { signal, stderr } = spawnSync(process.execPath, ['--no-warnings', '-e', program], { encoding: 'utf8' });
  if (signal !== 'SIGKILL') throw new Error(stderr);
}

/** Half of the commits of the old database are in its log alone. */
function makeOld(at: string): void {
  mkdirSync(join(at, 'old'));
  runAndKill(
    join(at, 'old', 'app.db'),
    `d.exec("PRAGMA journal_mode=wal;PRAGMA wal_autocheckpoint=0;CREATE TABLE old(a)");for(let i=0;i<${OLD_ROWS};i++){if(i===200)d.exec('PRAGMA wal_checkpoint(PASSIVE)');d.exec('INSERT INTO old VALUES(randomblob(900))')}`,
  );
  expect(readdirSync(join(at, 'old')).sort()).toEqual(['app.db', 'app.db-shm', 'app.db-wal']);
}

/** Puts the old database, with its side files, to where it is to be restored over. */
function putOld(): void {
  for (const suffix of [...SUFFIXES, '.tmp']) rmSync(output + suffix, { force: true });
  for (const suffix of SUFFIXES) {
    const from = join(folder, 'old', `app.db${suffix}`);
    if (existsSync(from)) copyFileSync(from, output + suffix);
  }
}

/** Which database SQLite finds at the path. Throws for one that is neither, or not whole. */
function whatIsThere(): 'old' | 'new' {
  const database = new DatabaseSync(output);
  try {
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    const [name] = database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('old', 'new')")
      .all()
      .map((row) => String(row['name']));
    const { n } = database.prepare(`SELECT count(*) AS n FROM ${name}`).get() as { n: number };
    expect(n).toBe(name === 'old' ? OLD_ROWS : 50);
    return name as 'old' | 'new';
  } finally {
    database.close();
  }
}

/** Made once, for all cases. */
const template = join(base, 'template');

beforeAll(async () => {
  mkdirSync(template);
  const path = join(template, 'new.db');
  const source = new DatabaseSync(path);
  source.exec('PRAGMA journal_mode = wal; CREATE TABLE new (a)');
  for (let row = 0; row < 50; row++) source.exec('INSERT INTO new VALUES (randomblob(500))');
  await using litestream = new Litestream({ store: false });
  const database = await litestream.replicate(path, join(template, 'replica'), { arrivalQuietMs: SHORT_QUIET_MS });
  await database.replicated();
  source.close();
  makeOld(template);
});

beforeEach(() => {
  folder = mkdtempSync(join(base, 'case-'));
  replica = join(folder, 'replica');
  output = join(folder, 'out', 'app.db');
  mkdirSync(join(folder, 'out'));
  for (const name of ['old', 'replica']) cpSync(join(template, name), join(folder, name), { recursive: true });
});

describe('a restore over a database', { timeout: 240_000 }, () => {
  test('leaves the old one with all its commits, or the new one, when it is killed before any of its calls', () => {
    putOld();
    const { stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', script, replica, output], {
      encoding: 'utf8',
    });
    const calls = JSON.parse(stdout.split('\n')[1] ?? stderr) as string[];
    expect(whatIsThere()).toBe('new');
    const counts = new Map<string, number>();
    const found: string[] = [];
    for (const call of calls) {
      const [name = ''] = call.split(' ');
      const occurrence = counts.get(name) ?? 0;
      counts.set(name, occurrence + 1);
      // What else there is comes before the new file is whole.
      if (!['rm', 'rename', 'handle.sync'].includes(name)) continue;
      putOld();
      const fault: Fault = { name, occurrence, errno: 'SIGKILL' };
      const args = ['--no-warnings', script, replica, output, JSON.stringify(fault)];
      expect([call, spawnSync(process.execPath, args).signal]).toEqual([call, 'SIGKILL']);
      found.push(whatIsThere());
    }
    expect(found).toContain('old');
    expect(found.indexOf('new')).toBeGreaterThan(0);
    expect(found.slice(found.indexOf('new'))).not.toContain('old');
  });

  test('and when it is killed at a random instant', async () => {
    const random = new Seeded(seedOf('restore over'));
    for (let round = 0; round < 10; round++) {
      putOld();
      const child = spawn(process.execPath, ['--no-warnings', script, replica, output], { stdio: 'pipe' });
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      await pause(random.next() * 150, 'killed at any moment');
      child.kill('SIGKILL');
      await ended;
      expect(['old', 'new']).toContain(whatIsThere());
    }
  });

  test('refuses one whose schema SQLite would need hours to read, and changes nothing', async () => {
    statisticsTable(output, 'sqlite_stat1');
    const old = readFileSync(output);
    const failing = restore(guardClient(new FileClient({ path: replica })), { output, overwrite: true });
    await expect(failing).rejects.toMatchObject({ code: 'SCHEMA_TOO_LARGE', object: output });
    expect(readFileSync(output).equals(old)).toBe(true);
  });

  test('keeps the commits of a hot rollback journal out, and the others', async () => {
    removeFolder(join(folder, 'old'));
    mkdirSync(join(folder, 'old'));
    runAndKill(
      join(folder, 'old', 'app.db'),
      `d.exec("PRAGMA cache_size=5;CREATE TABLE old(a)");for(let i=0;i<${OLD_ROWS};i++)d.exec('INSERT INTO old VALUES(randomblob(900))');d.exec('BEGIN;DELETE FROM old')`,
    );
    expect(readdirSync(join(folder, 'old'))).toContain('app.db-journal');
    putOld();
    await restore(guardClient(new FileClient({ path: replica })), { output, overwrite: true });
    expect(whatIsThere()).toBe('new');
    expect(readdirSync(join(folder, 'out'))).toEqual(['app.db']);
  });

  test('is refused while a program has it open, and changes nothing', async () => {
    putOld();
    const program = `const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(${JSON.stringify(output)});d.exec('BEGIN;SELECT count(*) FROM old');console.log('open');setInterval(()=>d,1000)`;
    const child = spawn(process.execPath, ['--no-warnings', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    // What a follower keeps beside its copy.
    writeFileSync(`${output}-txid`, '0000000000000001\n');
    const failing = restore(guardClient(new FileClient({ path: replica })), { output, overwrite: true });
    const message = process.platform === 'linux' ? `in use by process ${child.pid} (` : 'in use';
    const error: unknown = await failing.catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'DATABASE_BUSY', object: output, message: expect.stringContaining(message) });
    expect(existsSync(`${output}-txid`)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(whatIsThere()).toBe('old');
    expect(readdirSync(join(folder, 'out')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test.each([
    ['WAL mode, opened, nothing read yet', 'PRAGMA journal_mode = wal', ''],
    ['rollback mode, idle', '', 'SELECT count(*) FROM old'],
    ['rollback mode, reading', '', 'BEGIN; SELECT count(*) FROM old'],
    ['rollback mode, about to write', '', 'BEGIN IMMEDIATE'],
    ['an empty file', undefined, ''],
  ])('is refused while a program has it open that holds little or no lock: %s', async (_name, setup, then) => {
    if (setup === undefined) writeFileSync(output, '');
    else {
      const old = new DatabaseSync(output);
      old.exec(`${setup}; CREATE TABLE old (a); INSERT INTO old VALUES (1)`);
      old.close();
    }
    const before = statSync(output).ino;
    const program = `const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(${JSON.stringify(output)});d.exec(${JSON.stringify(then)});console.log('open');setInterval(()=>d,1000)`;
    const child = spawn(process.execPath, ['--no-warnings', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    const failing = restore(guardClient(new FileClient({ path: replica })), { output, overwrite: true });
    if (process.platform === 'linux') {
      await expect(failing).rejects.toMatchObject({ code: 'DATABASE_BUSY', object: output });
      expect(statSync(output).ino).toBe(before);
    } else {
      // Only locks tell, and these hold little or none.
      await failing.catch(() => undefined);
    }
  });

  test('is refused while this process has it open', async () => {
    putOld();
    const app = new DatabaseSync(output);
    onTestFinished(() => app.close());
    app.exec('SELECT count(*) FROM old');
    const failing = restore(guardClient(new FileClient({ path: replica })), { output, overwrite: true });
    await expect(failing).rejects.toMatchObject({ code: 'DATABASE_BUSY', object: output });
    expect(app.prepare('SELECT count(*) AS n FROM old').get()).toEqual({ n: OLD_ROWS });
  });

  test('replaces one that SQLite cannot read', async () => {
    putOld();
    writeFileSync(output, Buffer.alloc(8192, 'no database'));
    await restore(guardClient(new FileClient({ path: replica })), { output, overwrite: true });
    expect(whatIsThere()).toBe('new');
  });
});

import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fileUrl } from '../../../tests/support/programs.ts';
import { until } from '../../../tests/support/wait.ts';
import { scratchFolder, startLitestream, startTool, tool, toolJson, valueOf, withDatabase } from './support/tool.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

interface Check {
  readonly check_type: string;
  readonly passed: boolean;
  readonly error: string | null;
}

interface Place {
  readonly database: string;
  readonly replica: string;
}

const template = mkdtempSync(join(tmpdir(), 'litestream-test-template-'));
afterAll(() => removeFolder(template, { force: true }));
let made: Promise<Place> | undefined;

/** A database of several transactions with a replica of single files, nobody at work: a copy of one made once. */
async function replicated(): Promise<Place> {
  made ??= replicate(template);
  await made;
  const folder = scratchFolder();
  cpSync(template, folder, { recursive: true });
  return placeIn(folder);
}

const placeIn = (folder: string): Place => ({ database: join(folder, 'app.db'), replica: join(folder, 'replica') });

async function replicate(folder: string): Promise<Place> {
  const { database, replica } = placeIn(folder);
  await toolJson('populate', '-db', database, '-target-size', '300KB', '-table-count', '2');
  for (const value of ['one', 'two', 'three']) {
    withDatabase(database, (db) =>
      db.exec(`CREATE TABLE IF NOT EXISTS words (word); INSERT INTO words VALUES ('${value}')`),
    );
    await startLitestream('replicate', '-once', database, fileUrl(replica)).done();
  }
  return { database, replica };
}

async function validate(
  place: Place,
  ...flags: string[]
): Promise<{ code: number | null; checks: Map<string, Check> }> {
  const args = ['-json', '-source-db', place.database, '-replica-url', fileUrl(place.replica), ...flags];
  const { code, stdout, stderr } = await tool('validate', ...args);
  if (stdout === '') throw new Error(stderr);
  const { checks, passed } = JSON.parse(stdout) as { checks: Check[]; passed: boolean };
  expect(passed).toBe(code === 0);
  return { code, checks: new Map(checks.map((check) => [check.check_type, check])) };
}

const outcomes = (checks: ReadonlyMap<string, Check>): Record<string, boolean> =>
  Object.fromEntries([...checks].map(([name, { passed }]) => [name, passed]));

/** Files of level 0, in order. */
const levelZero = (replica: string): string[] =>
  readdirSync(join(replica, 'ltx', '0'))
    .sort()
    .map((name) => join(replica, 'ltx', '0', name));

test('a database under load, then shrunk, equals its replica', { timeout: 600_000 }, async () => {
  const folder = scratchFolder();
  const place = { database: join(folder, 'app.db'), replica: join(folder, 'replica') };
  await toolJson('populate', '-db', place.database, '-target-size', '8MB', '-table-count', '2');
  const daemon = startLitestream('replicate', place.database, fileUrl(place.replica));
  const load = await toolJson('load', '-db', place.database, '-write-rate', '0', '-duration', '2s', '-workers', '3');
  expect(load).toMatchObject({ total_errors: 0 });
  const flags = ['-check-type', 'full', '-ltx-continuity', '-wait', '60s'];
  const afterLoad = await validate(place, ...flags);
  expect([...afterLoad.checks.values()].filter(({ passed }) => !passed)).toEqual([]);
  expect([...afterLoad.checks.keys()]).toEqual([
    'ltx_continuity',
    'restore',
    'quick_check',
    'integrity_check',
    'checksum',
    'data_validation',
  ]);
  const restored = `${place.database}.restored`;
  expect(valueOf(restored, 'SELECT count(*) FROM load_test')).toBe(load['total_rows']);

  await toolJson('shrink', '-db', place.database, '-delete-percentage', '70', '-checkpoint', '-vacuum');
  const size = (path: string): number => Number(valueOf(path, 'PRAGMA page_count'));
  // VACUUM changes no row, so a replica of the moment before it passes every check: validate until it has arrived.
  await until('the smaller database in the replica', async () => {
    const { checks } = await validate(place, ...flags);
    expect([...checks.values()].filter(({ passed }) => !passed)).toEqual([]);
    return size(restored) === size(place.database);
  });

  await daemon.stop();
  expect(daemon.output).not.toMatch(/level=(WARN|ERROR)/);
  expect(await validate(place, '-check-type', 'checksum')).toMatchObject({ code: 0 });
});

test('each type makes its own checks', async () => {
  const place = await replicated();
  expect(outcomes((await validate(place)).checks)).toEqual({ restore: true, quick_check: true });
  const integrity = await validate(place, '-check-type', 'integrity');
  expect(outcomes(integrity.checks)).toEqual({ restore: true, integrity_check: true });
  const other = join(scratchFolder(), 'elsewhere.db');
  const checksum = await validate(place, '-check-type', 'CHECKSUM', '-restored-db', other);
  expect(outcomes(checksum.checks)).toEqual({ restore: true, checksum: true });
  expect(valueOf(other, 'SELECT count(*) FROM words')).toBe(3);
  expect(existsSync(`${other}-wal`)).toBe(false);
});

test('a source that has moved on is found out, by its rows and by their number', async () => {
  const place = await replicated();
  withDatabase(place.database, (db) => db.exec("UPDATE words SET word = 'zwei' WHERE word = 'two'"));
  const changed = await validate(place, '-check-type', 'full');
  expect(outcomes(changed.checks)).toEqual({
    restore: true,
    quick_check: true,
    integrity_check: true,
    checksum: false,
    data_validation: true,
  });
  expect(changed.checks.get('checksum')?.error).toMatch(/differ in words$/);
  withDatabase(place.database, (db) => db.exec('DELETE FROM words; DROP TABLE test_table_1'));
  const fewer = await validate(place, '-check-type', 'full');
  expect(fewer.checks.get('data_validation')?.error).toMatch(/test_table_1 \(missing and \d+\), words \(0 and 3\)$/);
});

test('waits for a replica that is behind', async () => {
  const place = await replicate(scratchFolder());
  withDatabase(place.database, (db) => db.exec("INSERT INTO words VALUES ('late')"));
  const args = ['-source-db', place.database, '-replica-url', fileUrl(place.replica), '-check-type', 'checksum'];
  const child = startTool('validate', ...args, '-wait', '60s');
  await until('the first comparison', () => child.stderr.includes('checksums do not match'), {
    failed: () => (child.exit === undefined ? undefined : child.output),
  });
  await startLitestream('replicate', '-once', place.database, fileUrl(place.replica)).done();
  await child.done();
  expect(child.stderr).toContain('replica has moved on, validating again');
  expect(child.stderr).toContain('All validation checks passed');
});

test('a damaged file, a missing one and an empty replica fail, each by name', async () => {
  const place = await replicated();
  const files = levelZero(place.replica);
  expect(files).toHaveLength(3);
  const [, second = '', third = ''] = files;
  const sound = readFileSync(second);
  const damaged = Buffer.from(sound);
  damaged.writeUInt8(damaged.readUInt8(damaged.length - 40) ^ 1, damaged.length - 40);
  writeFileSync(second, damaged);
  const broken = await validate(place, '-ltx-continuity', '-check-type', 'full');
  expect(outcomes(broken.checks)).toEqual({ ltx_continuity: false, restore: false });
  for (const name of ['ltx_continuity', 'restore']) {
    expect(broken.checks.get(name)?.error).toContain('0000000000000002-0000000000000002.ltx');
  }
  rmSync(second);
  const gap = await validate(place, '-ltx-continuity');
  expect(gap.checks.get('ltx_continuity')?.error).toMatch(/^gap at level 0 between/);
  writeFileSync(second, sound);
  rmSync(third);
  expect((await validate(place, '-ltx-continuity')).code).toBe(0);
  removeFolder(place.replica);
  const empty = await validate(place, '-ltx-continuity');
  expect(outcomes(empty.checks)).toEqual({ ltx_continuity: false, restore: false });
  expect(empty.checks.get('ltx_continuity')?.error).toBe('the replica holds no LTX files');
});

test('takes the replica from a config', async () => {
  const place = await replicated();
  const config = join(scratchFolder(), 'litestream.yml');
  writeFileSync(config, `dbs:\n  - path: ${place.database}\n    replica:\n      path: ${place.replica}\n`);
  const args = ['-source-db', place.database, '-config', config, '-check-type', 'checksum'];
  expect(await toolJson('validate', ...args)).toMatchObject({ passed: true, replica: 'file' });
  const { code, stderr } = await tool('validate', '-source-db', join(scratchFolder(), 'x.db'), '-config', config);
  expect(stderr).toContain('database not found in config');
  expect(code).toBe(1);
});

test('never restores over the source', async () => {
  const place = await replicated();
  const link = join(scratchFolder(), 'link.db');
  symlinkSync(place.database, link);
  const before = statSync(place.database);
  for (const path of [place.database, link, `${place.database}-wal`]) {
    const url = fileUrl(place.replica);
    const { code, stderr } = await tool(
      'validate',
      '-source-db',
      place.database,
      '-replica-url',
      url,
      '-restored-db',
      path,
    );
    expect(stderr).toContain('would replace the source');
    expect(code).toBe(1);
  }
  expect(statSync(place.database).ino).toBe(before.ino);
});

test.each([
  [[], 'source database path required'],
  [['-source-db', 'x.db'], 'replica URL or config file required'],
  [['-source-db', 'x.db', '-replica-url', '/replica'], 'replica url scheme required: /replica'],
  [['-source-db', 'x.db', '-replica-url', 'file:///r', '-config', 'c.yml'], 'cannot specify both'],
  [['-source-db', 'x.db', '-replica-url', 'file:///r'], 'database does not exist: x.db'],
  [['-source-db', 'x.db', '-replica-url', 'file:///r', '-check-type', 'slow'], 'must be one of quick, integrity'],
])('refuses %j', async (flags, message) => {
  const { code, stderr } = await tool('validate', ...flags);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
});

test('help, version and mistakes', async () => {
  const help = await tool('help');
  expect(help.stdout).toContain('litestream-test <command> [arguments]');
  expect((await tool('validate', '-h')).stdout).toContain('$ litestream-test validate -source-db');
  expect((await tool('version')).stdout).toMatch(/^litestream-test \d+\.\d+\.\d+\nnode: /);
  expect(await tool('lode')).toMatchObject({
    code: 1,
    stderr: 'Error: litestream-test lode: unknown command\nTry: litestream-test load\n',
  });
});

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HEADER_SIZE, kernel } from '@litestream/ltx';
import { expect, test } from 'vitest';
import { run, scratchFolder } from './support/cli.ts';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

/** A replica with three level-0 files and a snapshot. */
async function replica(): Promise<{ folder: string; url: string }> {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const url = `file://${folder}/replica`;
  createDatabase(database, 5);
  for (const flags of [[], ['-force-snapshot'], []]) {
    insertRows(database, 2);
    expect(await run(['replicate', '-once', ...flags, database, url])).toMatchObject({ exitCode: 0 });
  }
  return { folder, url };
}

function level0(folder: string): string[] {
  const path = join(folder, 'replica', 'ltx', '0');
  return readdirSync(path)
    .sort()
    .map((name) => join(path, name));
}

/** Changes bytes of a header, and the file checksum with them. */
function restate(path: string, change: (header: DataView) => void): void {
  const bytes = new Uint8Array(readFileSync(path));
  const view = new DataView(bytes.buffer, 0, HEADER_SIZE);
  const before = kernel().crc64(bytes.subarray(0, HEADER_SIZE));
  change(view);
  const after = kernel().crc64(bytes.subarray(0, HEADER_SIZE));
  // The bytes that are not changed keep their share of the checksum.
  const end = new DataView(bytes.buffer, bytes.length - 8);
  const covered = coveredBytes(bytes);
  end.setBigUint64(0, kernel().crc64Combine(before ^ after, end.getBigUint64(0) & ~(1n << 63n), covered) | (1n << 63n));
  writeFileSync(path, bytes);
}

/** Bytes after the header that the file checksum covers: pages, uncompressed. */
function coveredBytes(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer);
  const pageSize = view.getUint32(8);
  let at = HEADER_SIZE;
  let covered = 0;
  while (view.getUint32(at) !== 0) {
    const size = view.getUint32(at + 6);
    at += 10 + size;
    covered += 10 + pageSize;
  }
  return covered + (bytes.length - at) - 8;
}

test('a whole replica is proven', async () => {
  const { folder, url } = await replica();
  const text = await run(['verify', url]);
  expect(text).toMatchObject({ exitCode: 0, stderr: '' });
  expect(text.stdout).toMatch(/^level +files +size\n0 +3 .*\n9 +1 .*\nProven up to transaction 0{15}3 of \S+\.\n$/);
  const json = await run(['verify', '-json', url]);
  expect(JSON.parse(json.stdout)).toMatchObject({
    replica: url,
    ok: true,
    proven: true,
    txid: '0000000000000003',
    levels: [
      { level: 0, files: 3 },
      { level: 9, files: 1 },
    ],
    faults: [],
  });
  const config = join(folder, 'litestream.yml');
  writeFileSync(config, `dbs: [{path: ${folder}/app.db, replica: {url: "${url}"}}]\n`);
  expect(await run(['verify', '-config', config, join(folder, 'app.db')])).toMatchObject({ exitCode: 0 });
});

test.each([
  ['a damaged file', (path: string) => writeFileSync(path, readFileSync(path).fill(0x5a, 200, 220)), 'corrupt'],
  ['a missing file', (path: string) => rmSync(path), 'gap'],
  [
    'a file that starts from another database',
    (path: string) => restate(path, (header) => header.setUint32(96, header.getUint32(96) ^ 1)),
    'chain',
  ],
] as const)('%s is a fault, and exits with 1', async (_, change, kind) => {
  const { folder, url } = await replica();
  // A missing file is no gap if a snapshot contains its pages.
  removeFolder(join(folder, 'replica', 'ltx', '9'));
  change(level0(folder)[1] ?? '');
  const { exitCode, stdout } = await run(['verify', '-json', url]);
  expect(exitCode).toBe(1);
  const report = JSON.parse(stdout) as { ok: boolean; faults: { kind: string }[] };
  expect(report.ok).toBe(false);
  expect(report.faults.map((fault) => fault.kind)).toContain(kind);
  expect((await run(['verify', url])).stdout).toContain(`${kind}: `);
});

test('a state with another checksum than its file states is a fault, and a restore refuses it', async () => {
  const { folder, url } = await replica();
  restate(level0(folder)[2] ?? '', (header) => header.setBigUint64(88, header.getBigUint64(88) ^ 1n));
  const { exitCode, stdout } = await run(['verify', '-json', url]);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ ok: false, proven: false, faults: [{ kind: 'proof', level: 0 }] });
  const output = join(folder, 'out.db');
  const restored = await run(['restore', '-o', output, url]);
  expect(restored.exitCode).toBe(1);
  expect(restored.stderr).toContain('does not have the database checksum that this file states');
  const wanted = await run(['restore', '-json', '-proof', 'ignored', '-o', output, url]);
  expect(wanted.exitCode).toBe(0);
  expect(JSON.parse(wanted.stdout)).toMatchObject({ proven: false });
});

test('a copy names files that start from another database, and exits with 1', async () => {
  const { folder, url } = await replica();
  restate(level0(folder)[1] ?? '', (header) => header.setUint32(96, header.getUint32(96) ^ 1));
  const { exitCode, stdout, stderr } = await run(['copy', '-json', url, `file://${folder}/copy`]);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^Error: \S+ starts from another database than \S+ leaves$/m);
  expect(JSON.parse(stdout)).toMatchObject({ files: { length: 4 }, contradictions: { length: 1 } });
});

test.each([
  ['is damaged', (path: string) => writeFileSync(path, readFileSync(path).fill(0x5a, 200, 220))],
  [
    'is another database',
    (path: string) => restate(path, (header) => header.setBigUint64(88, header.getBigUint64(88) ^ 1n)),
  ],
] as const)('-older-base restores the same state if the newest snapshot %s', async (_, change) => {
  const { folder, url } = await replica();
  insertRows(join(folder, 'app.db'), 2);
  const once = await run(['replicate', '-once', '-force-snapshot', join(folder, 'app.db'), url]);
  expect(once).toMatchObject({ exitCode: 0 });
  const snapshots = readdirSync(join(folder, 'replica', 'ltx', '9')).sort();
  expect(snapshots.length).toBe(2);
  change(join(folder, 'replica', 'ltx', '9', snapshots[1] ?? ''));
  const output = join(folder, 'out.db');
  const refused = await run(['restore', '-o', output, url]);
  expect(refused.exitCode).toBe(1);
  expect(existsSync(output)).toBe(false);
  const restored = await run(['restore', '-older-base', '-proof', 'required', '-o', output, url]);
  expect(restored).toMatchObject({ exitCode: 0 });
  expect(restored.stdout + restored.stderr).toContain('restoring from an older snapshot');
  expect(countRows(output)).toBe(countRows(join(folder, 'app.db')));

  // With no other snapshot left, the error is that of the newest one.
  rmSync(join(folder, 'replica', 'ltx', '9', snapshots[0] ?? ''));
  rmSync(level0(folder)[0] ?? '');
  const other = join(folder, 'other.db');
  const failed = await run(['restore', '-older-base', '-o', other, url]);
  expect(failed.exitCode).toBe(1);
  expect(failed.stderr).toContain(snapshots[1]);
  expect(existsSync(other)).toBe(false);
});

test('a replica from which nothing can be restored is a failure', async () => {
  const folder = scratchFolder();
  expect(await run(['verify', `file://${folder}/nothing`])).toMatchObject({
    exitCode: 1,
    stdout: 'The replica holds no files.\n',
  });
  const json = await run(['verify', '-json', `file://${folder}/nothing`]);
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, proven: false, txid: '' });
});

test('a target is required', async () => {
  expect(await run(['verify'])).toMatchObject({ exitCode: 1 });
});

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { run, scratchFolder } from './support/cli.ts';
import { createDatabase, insertRows } from './support/database.ts';

interface Point {
  readonly timestamp: string;
  readonly txid: string;
}

interface Entry {
  readonly count: number;
  readonly newest: Point;
  readonly oldest: Point;
  readonly level: number;
}

/** A replica with three transactions of one row each. */
async function replicaOfThree(): Promise<{ readonly folder: string; readonly url: string }> {
  const folder = scratchFolder();
  const path = join(folder, 'app.db');
  const url = `file://${folder}/replica`;
  for (let transaction = 1; transaction <= 3; transaction += 1) {
    if (transaction === 1) createDatabase(path, 1);
    else insertRows(path, 1);
    expect((await run(['replicate', '-once', path, url])).exitCode).toBe(0);
  }
  return { folder, url };
}

describe('points', () => {
  test('lists what a restore can make, newest first, and each one restores by its TXID and its time', async () => {
    const { folder, url } = await replicaOfThree();
    const { stdout, exitCode } = await run(['points', '-all', '-json', url]);
    expect(exitCode).toBe(0);
    const entries = JSON.parse(stdout) as Entry[];
    expect(entries.map(({ newest }) => newest.txid)).toEqual([3, 2, 1].map((txid) => String(txid).padStart(16, '0')));
    for (const { count, newest, oldest } of entries) {
      expect(count).toBe(1);
      expect(oldest).toEqual(newest);
      const output = join(folder, `${newest.txid}.db`);
      const restored = await run(['restore', '-timestamp', newest.timestamp, '-o', output, url]);
      expect(restored.exitCode).toBe(0);
      using copy = new DatabaseSync(output, { readOnly: true });
      using same = await restoredAt(url, newest.txid, join(folder, `${newest.txid}-txid.db`));
      for (const each of [copy, same]) {
        expect({ ...each.prepare('SELECT count(*) AS n FROM t').get() }).toEqual({ n: Number(newest.txid) });
      }
    }
  });

  test('puts points of the same level and snapshot on one line, with local time and UTC', async () => {
    const { url } = await replicaOfThree();
    const { stdout } = await run(['points', url], { env: { TZ: 'Asia/Kathmandu' } });
    const [head, row, ...rest] = stdout.trimEnd().split('\n');
    expect(head).toMatch(/^newest +utc +txid +oldest +points +level +restored from$/);
    expect(row).toMatch(/^\S+ \S+ \+05:45 +\S+Z +0{15}3 +\S+ \S+ \+05:45 +3 +0 +the first transaction$/);
    expect(rest).toEqual([]);
  });

  test('fails if no state can be restored', async () => {
    const folder = scratchFolder();
    const { exitCode, stdout, stderr } = await run(['points', `file://${folder}/nothing`]);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('the replica holds no backups');
  });
});

describe('restore', () => {
  test('prints the time that it understood, and what it restored', async () => {
    const { folder, url } = await replicaOfThree();
    const output = join(folder, 'restored.db');
    const args = ['restore', '-timestamp', '0s ago', '-o', output, url];
    const { exitCode, stdout } = await run(args, { env: { TZ: 'Asia/Kathmandu' } });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/msg="restoring to a point in time" timestamp=\S+Z local_time="\S+ \S+ \+05:45"/);
    expect(stdout).toMatch(/msg=restored replica=file path=\S+ txid=0{15}3 time=\S+Z size=\d+ proven=true/);
  });

  test('names the state in its summary as JSON', async () => {
    const { folder, url } = await replicaOfThree();
    const { stdout } = await run(['restore', '-json', '-o', join(folder, 'restored.db'), url]);
    const { timestamp, size, proven } = JSON.parse(stdout) as Record<string, unknown>;
    expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect([typeof size, proven]).toEqual(['number', true]);
  });
});

async function restoredAt(url: string, txid: string, output: string): Promise<DatabaseSync> {
  expect((await run(['restore', '-txid', txid, '-o', output, url])).exitCode).toBe(0);
  return new DatabaseSync(output, { readOnly: true });
}

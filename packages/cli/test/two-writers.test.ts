/** Two daemons on one replica, as a rolling deploy has them for some seconds. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { run, scratchFolder, start, withoutTimes } from './support/cli.ts';
import type { Cli } from './support/cli.ts';
import { createDatabase } from './support/database.ts';

interface Instance {
  readonly path: string;
  readonly daemon: Cli;
  readonly commit: () => Promise<boolean>;
  readonly rows: string[];
}

function rowsOf(path: string): readonly unknown[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db
      .prepare('SELECT x FROM t ORDER BY rowid')
      .all()
      .map(({ x }) => x);
  } finally {
    db.close();
  }
}

async function instance(folder: string, name: string, rows: readonly string[]): Promise<Instance> {
  const config = join(folder, `${name}.yml`);
  const socket = join(folder, `${name}.sock`);
  const path = join(folder, name, 'app.db');
  const replica = `replica: {path: ${join(folder, 'replica')}, sync-interval: 50ms}`;
  writeFileSync(config, `socket: {enabled: true, path: ${socket}}\ndbs:\n  - path: ${path}\n    ${replica}\n`);
  const daemon = start(['replicate', '-config', config]);
  await daemon.said('control socket listening');
  const known = [...rows];
  const commit = async (): Promise<boolean> => {
    const row = `${name} ${known.length}`;
    const db = new DatabaseSync(path);
    db.exec('PRAGMA busy_timeout = 60000');
    db.prepare('INSERT INTO t VALUES (?)').run(row);
    db.close();
    known.push(row);
    return (await run(['sync', '-wait', '-socket', socket, path])).exitCode === 0;
  };
  return { path, daemon, commit, rows: known };
}

test('one of them stops acknowledging and says so once; the replica restores to what the other one has', async () => {
  const folder = scratchFolder();
  const replica = `file://${join(folder, 'replica')}`;
  mkdirSync(join(folder, 'old'));
  mkdirSync(join(folder, 'new'));
  createDatabase(join(folder, 'old', 'app.db'), 1);
  const old = await instance(folder, 'old', ['row 0']);
  expect(await old.commit()).toBe(true);
  const restored = await run(['restore', '-o', join(folder, 'new', 'app.db'), replica]);
  expect(restored.exitCode).toBe(0);
  const fresh = await instance(folder, 'new', old.rows);

  const acknowledged = { old: [] as boolean[], new: [] as boolean[] };
  for (let round = 0; round < 6; round++) {
    const [one, two] = await Promise.all([old.commit(), fresh.commit()]);
    acknowledged.old.push(one);
    acknowledged.new.push(two);
  }
  // In the end one of the two is left.
  expect(acknowledged.old.at(-1)).toBe(acknowledged.new.at(-1) === false);
  const [winner, loser] = acknowledged.new.at(-1) === true ? [fresh, old] : [old, fresh];
  expect(await loser.commit()).toBe(false);
  expect(await winner.commit()).toBe(true);

  const told = await loser.daemon.stop();
  const conflicts = withoutTimes(told.stdout + told.stderr).filter((line) =>
    line.includes('level=ERROR msg="another process'),
  );
  expect(conflicts).toHaveLength(1);
  expect(await winner.commit()).toBe(true);
  const output = join(folder, 'restored.db');
  expect((await run(['restore', '-o', output, replica])).exitCode).toBe(0);
  expect(rowsOf(output)).toEqual(winner.rows);
  const other = await winner.daemon.stop();
  expect(other.stdout + other.stderr).not.toContain('another process writes');
});

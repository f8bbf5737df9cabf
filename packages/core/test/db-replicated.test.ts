/** `replicated()` while the database file is removed, or replaced by another one. */
import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from '../../../tests/support/wait.ts';
import { Replica } from '../src/index.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { Lab, drivers } from './helpers/db-lab.ts';
import { failWith, interceptFs } from './helpers/intercept-fs.ts';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)';
const INSERT = 'INSERT INTO t (v) VALUES (hex(randomblob(300)))';

/** By another process: closing a descriptor of the database in this one would drop SQLite's locks. */
function shell(script: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync('sh', ['-ec', script, 'sh', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

function moveAway(lab: Lab): void {
  for (const suffix of ['', '-wal', '-shm']) renameSync(lab.path + suffix, `${lab.folder}/moved${suffix}`);
}

const isLevel0 = (path: unknown): boolean => /ltx.0.*\.tmp$/.test(String(path));

describe.each(drivers)('with $name', (driver) => {
  it('the file goes away while the commit is read: nothing is promised', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const db = lab.db();
    await db.open();
    const replica = new Replica(new MemoryClient(), db);
    await replica.replicated();
    app.exec(INSERT);
    using _ = interceptFs('openSync', (path) => {
      if (!isLevel0(path)) return;
      moveAway(lab);
      failWith('EIO');
    });
    await expect(replica.replicated()).rejects.toMatchObject({ code: 'DATABASE_MISSING' });
  });

  it('another file arrives, and is opened but not read while the call waits for its upload', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, INSERT]);
    const half = join(lab.folder, 'half');
    const whole = join(lab.folder, 'whole');
    app.exec(`VACUUM INTO '${whole}'`);
    const other = driver.open(whole);
    other.exec(
      'WITH RECURSIVE s (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s LIMIT 90) INSERT INTO t (v) SELECT hex(randomblob(300)) FROM s',
    );
    other.close();
    shell('head -c 20000 "$1" > "$2"', whole, half);

    let arrives = async (): Promise<void> => undefined;
    const client = new MemoryClient({ before: (operation) => (operation === 'writeLtxFile' ? arrives() : undefined) });
    const db = lab.db();
    const replica = new Replica(client, db, { logger: lab.logger });
    await db.open({ history: replica });
    await replica.replicated();
    app.exec(INSERT);
    lab.closeApp(app);
    moveAway(lab);
    renameSync(half, lab.path);
    arrives = async () => {
      arrives = async () => undefined;
      shell('cat "$1" > "$2"', whole, lab.path);
      using _ = interceptFs('openSync', (path) => (isLevel0(path) ? failWith('ENOSPC') : undefined));
      let error: unknown;
      await until('the new file is opened, and the disk too full to read it', async () => {
        await db.sync().catch((reason: unknown) => (error = reason));
        return error !== undefined;
      });
      expect(error).toMatchObject({ code: 'DISK_FULL' });
    };
    // The rows of the file that has arrived are in no transaction yet.
    await expect(replica.replicated()).rejects.toMatchObject({ code: 'DATABASE_NOT_READY' });
    await replica.replicated();
    await lab.verify();
    expect(replica.position).toEqual(db.position);
  });
});

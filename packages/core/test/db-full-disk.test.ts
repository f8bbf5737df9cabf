/** As db-unpinned.test.ts, on a file system that is really full. Needs root, to mount a small one; skipped without. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DB, FileClient, Replica, nodeSqlite, restore } from '../src/index.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'litestream-full-'));
const volume = join(root, 'volume');
spawnSync('mkdir', [volume]);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', volume]).status === 0;

it.skipIf(!mounted)('a full disk during a checkpoint, then room again, loses no acknowledged commit', async () => {
  const path = join(volume, 'app.db');
  writeFileSync(path, '');
  const app = nodeSqlite.open(path);
  const client = new FileClient({ path: join(root, 'replica') });
  const db = new DB(path, { metaPath: join(root, 'meta'), checkpointIntervalMs: 0, minCheckpointPageN: 1_000_000 });
  try {
    app.get('PRAGMA journal_mode = wal');
    app.exec('PRAGMA wal_autocheckpoint = 0');
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    app.exec('CREATE TABLE other (id INTEGER PRIMARY KEY, payload BLOB)');
    await db.open();
    await client.init();
    const replica = new Replica(client, db);
    app.exec('INSERT INTO t (payload) VALUES (randomblob(1000000))');
    await replica.replicated();
    // Somebody fills the disk: the log is there, but the database file cannot grow.
    const filler = join(volume, 'filler');
    spawnSync('sh', ['-c', `cat /dev/zero > ${filler}`], { stdio: 'ignore' });
    await expect(db.checkpoint('PASSIVE')).rejects.toThrow(/full/);
    rmSync(filler);
    await replica.replicated();
    app.exec("INSERT INTO other (payload) VALUES ('to be lost')");
    app.get('PRAGMA wal_checkpoint(RESTART)');
    app.exec("INSERT INTO t (payload) VALUES ('after')");
    await replica.replicated();
    const output = join(root, 'restored.db');
    await restore(client, { output });
    const copy = nodeSqlite.open(output);
    const found = copy.get("SELECT COUNT(*) AS n FROM other WHERE payload = 'to be lost'");
    copy.close();
    expect(found?.['n']).toBe(1);
  } finally {
    await db.close();
    app.close();
    spawnSync('umount', ['-l', volume]);
    removeFolder(root, { force: true });
  }
});

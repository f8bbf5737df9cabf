/** A sync that cannot see everything rejects, and the next one takes the whole database: nothing is acknowledged in vain. */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DB } from '../src/index.ts';
import { FileClient, Replica, guardClient, restore } from '../src/index.ts';
import { Lab, compare, drivers } from './helpers/db-lab.ts';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)';

async function start(lab: Lab): Promise<{ db: DB; replica: Replica; client: FileClient }> {
  const client = guardClient(new FileClient({ path: join(lab.folder, 'replica') })) as FileClient;
  const db = lab.db();
  const replica = new Replica(client, db, { logger: lab.logger });
  await db.open({ history: replica });
  await replica.replicated();
  return { db, replica, client };
}

/** The code of what an acknowledgement was refused with; undefined if it was given. */
async function refusal(replica: Replica): Promise<string | undefined> {
  try {
    await replica.replicated();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

async function expectRestored(lab: Lab, client: FileClient): Promise<void> {
  const output = join(lab.folder, `restored-${process.hrtime.bigint()}.db`);
  await restore(client, { output, integrityCheck: 'full' });
  compare(readFileSync(output), lab.source());
}

/** Another program with the other copy of SQLite, or the same one, in a process of its own. */
function elsewhere(path: string, sql: readonly string[]): void {
  const script =
    "const {DatabaseSync}=require('node:sqlite');const d=new DatabaseSync(process.argv[1],{timeout:5000});" +
    "for(const s of JSON.parse(process.argv[2]))d.exec(s);process.stdout.write('done');setTimeout(()=>process.kill(process.pid,'SIGKILL'),0)";
  const { stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', '-e', script, path, JSON.stringify(sql)], {
    encoding: 'utf8',
  });
  if (stdout !== 'done') throw new Error(stderr);
}

/** Where the kernel lists locks and open files. */
const linux = process.platform === 'linux';

describe.each(drivers)('with $name', (driver) => {
  it('a deleted WAL: commits are read on but not acknowledged, and all is well once everybody has closed', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const { db, replica, client } = await start(lab);
    app.exec("INSERT INTO t (v) VALUES ('into the WAL')");
    await replica.replicated();
    rmSync(`${lab.path}-wal`);
    app.exec("INSERT INTO t (v) VALUES ('into the deleted WAL')");
    const before = db.position.txid;
    for (let round = 0; round < 3; round += 1) expect(await refusal(replica)).toBe('WAL_LOST');
    // Released at once: so the application's last connection can checkpoint the deleted WAL when it closes.
    expect(db.position.txid).toBe(before + 1n);
    app.exec("INSERT INTO t (v) VALUES ('later into the deleted WAL')");
    // A second WAL beside the one that the application writes to would ruin the database.
    expect(existsSync(`${lab.path}-wal`)).toBe(false);
    lab.closeApp(app);
    expect(await refusal(replica)).toBeUndefined();
    await expectRestored(lab, client);
    const again = lab.app();
    expect(again.get('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 3 });
    again.exec("INSERT INTO t (v) VALUES ('into the new one')");
    expect(await refusal(replica)).toBeUndefined();
    await expectRestored(lab, client);
  });

  it('a -shm that another program recreated: what happened behind the locks is found', async () => {
    await using lab = new Lab(driver);
    lab.closeApp(lab.app([TABLE, "INSERT INTO t (v) VALUES ('one')"]));
    const { replica, client } = await start(lab);
    rmSync(`${lab.path}-shm`);
    elsewhere(lab.path, [
      'PRAGMA wal_autocheckpoint = 0',
      "UPDATE t SET v = 'two'",
      'PRAGMA wal_checkpoint(TRUNCATE)',
      "INSERT INTO t (v) VALUES ('three')",
    ]);
    expect(await refusal(replica)).toBe('LOCKS_LOST');
    expect(await refusal(replica)).toBeUndefined();
    await expectRestored(lab, client);
  });

  it.runIf(linux)('locks that a read of the database file dropped, while the WAL restarts twice', async () => {
    await using lab = new Lab(driver);
    lab.closeApp(lab.app([TABLE, "INSERT INTO t (v) VALUES ('one')"]));
    const { db, replica, client } = await start(lab);
    await db.checkpoint('TRUNCATE');
    // fcntl(2): closing any descriptor of a file drops all locks that the process holds on it.
    closeSync(openSync(lab.path, 'r'));
    closeSync(openSync(`${lab.path}-shm`, 'r'));
    elsewhere(lab.path, [
      'PRAGMA wal_autocheckpoint = 0',
      "UPDATE t SET v = 'two'",
      'PRAGMA wal_checkpoint(RESTART)',
      "INSERT INTO t (v) VALUES ('three')",
    ]);
    expect(await refusal(replica)).toBe('LOCKS_LOST');
    expect(await refusal(replica)).toBeUndefined();
    await expectRestored(lab, client);
  });

  it('a backup copied over the database file in place, all of the WAL being in the file', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, "INSERT INTO t (v) VALUES ('monday')"]);
    const backup = join(lab.folder, 'backup.db');
    app.exec(`VACUUM INTO '${backup}'`);
    elsewhere(backup, ['PRAGMA journal_mode = wal', 'PRAGMA wal_checkpoint(TRUNCATE)']);
    const { db, replica, client } = await start(lab);
    app.exec("UPDATE t SET v = 'tuesday'");
    await replica.replicated();
    lab.closeApp(app);
    await db.checkpoint('TRUNCATE');
    await db.sync();
    expect(spawnSync('cp', [backup, lab.path]).status).toBe(0);
    const again = lab.app();
    again.exec("INSERT INTO t (v) VALUES ('after')");
    expect(await refusal(replica)).toBe('DATABASE_CHANGED');
    expect(await refusal(replica)).toBeUndefined();
    await expectRestored(lab, client);
  });

  it('a resync that was due survives a crash', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE, "INSERT INTO t (v) VALUES ('one')"]);
    const { db, replica } = await start(lab);
    await db.checkpoint('PASSIVE');
    await db.sync();
    const other = join(lab.folder, 'other.db');
    app.exec(`VACUUM INTO '${other}'`);
    elsewhere(other, ['PRAGMA journal_mode = wal', "UPDATE t SET v = 'changed'", 'PRAGMA wal_checkpoint(TRUNCATE)']);
    expect(spawnSync('cp', [other, lab.path]).status).toBe(0);
    expect(await refusal(replica)).toBe('DATABASE_CHANGED');
    // What a crash leaves, too: another one begins with the files as they are.
    await db.close();
    const { replica: next } = await start(lab);
    expect(lab.snapshots().length).toBe(2);
    expect(next.position.txid).toBeGreaterThan(replica.position.txid);
  });

  it('tables of ours that are dropped cost nothing', async () => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const { db, replica, client } = await start(lab);
    app.exec('DROP TABLE IF EXISTS _litestream_seq; DROP TABLE IF EXISTS _litestream_lock');
    for (let round = 0; round < 5; round += 1) {
      app.exec('INSERT INTO t (v) VALUES (hex(randomblob(20000)))');
      expect(await refusal(replica)).toBeUndefined();
      await db.checkpoint(round % 2 === 0 ? 'PASSIVE' : 'TRUNCATE');
      await db.tend();
    }
    await expectRestored(lab, client);
    expect(lab.snapshots()).toEqual(['first sync']);
  });
});

/** One request of the application opens the other copy of SQLite, writes and closes, which drops all locks of the process. */
describe.runIf(linux)('another copy of SQLite in this process', () => {
  it.each([0, 1])('opened for each request: what is acknowledged can be restored (driver %i)', async (index) => {
    const [own, other] = index === 0 ? drivers : [drivers[1], drivers[0]];
    if (own === undefined || other === undefined) throw new Error('two drivers');
    await using lab = new Lab(own);
    lab.closeApp(lab.app([TABLE]));
    const { replica, client } = await start(lab);
    let refused = 0;
    for (let request = 0; request < 12; request += 1) {
      const connection = other.open(lab.path);
      connection.exec(`INSERT INTO t (v) VALUES ('request ${request}')`);
      connection.close();
      if ((await refusal(replica)) === undefined) await expectRestored(lab, client);
      else refused += 1;
    }
    expect(refused).toBeGreaterThan(0);
  });
});

describe('a WAL that is replaced', () => {
  it.each(drivers)('is never taken for the one that is open, with $name', async (driver) => {
    await using lab = new Lab(driver);
    const app = lab.app([TABLE]);
    const { replica, client } = await start(lab);
    lab.closeApp(app);
    renameSync(`${lab.path}-wal`, `${lab.path}-wal-away`);
    rmSync(`${lab.path}-shm`);
    elsewhere(lab.path, ["INSERT INTO t (v) VALUES ('in another WAL')"]);
    const code = await refusal(replica);
    expect(['WAL_LOST', 'LOCKS_LOST']).toContain(code);
    expect(await refusal(replica)).toBeUndefined();
    await expectRestored(lab, client);
  });
});

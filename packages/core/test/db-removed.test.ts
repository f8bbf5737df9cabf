/** replicated() promises that every commit before the call is on the replica. */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FileClient, Replica } from '../src/index.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

it('does not promise what it could not read: the database was moved away after the commit', async () => {
  await using lab = new Lab(drivers[0]);
  const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)']);
  const db = lab.db();
  await db.open();
  await using client = new FileClient({ path: join(lab.folder, 'replica') });
  await client.init();
  const replica = new Replica(client, db);
  await replica.replicated();
  const before = replica.position.txid;
  app.exec("INSERT INTO t (payload) VALUES ('committed')");
  for (const suffix of ['', '-wal', '-shm']) renameSync(lab.path + suffix, `${lab.folder}/moved${suffix}`);
  const outcome = await replica.replicated().then(
    () => 'resolved',
    () => 'rejected',
  );
  expect(outcome === 'rejected' || replica.position.txid > before).toBe(true);
});

it.each(['moved', 'unlinked'])('promises nothing while the database is %s, however often it is asked', async (how) => {
  await using lab = new Lab(drivers[0]);
  const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)']);
  const db = lab.db();
  await db.open();
  await using client = new FileClient({ path: join(lab.folder, 'replica') });
  await client.init();
  const replica = new Replica(client, db);
  app.exec("INSERT INTO t (payload) VALUES ('before')");
  await replica.replicated();
  for (const suffix of ['', '-wal', '-shm']) {
    if (how === 'moved') renameSync(lab.path + suffix, `${lab.folder}/moved${suffix}`);
    else rmSync(lab.path + suffix);
  }
  for (let round = 0; round < 3; round += 1) {
    app.exec("INSERT INTO t (payload) VALUES ('committed to a file without its name')");
    await expect(replica.replicated()).rejects.toMatchObject({ code: 'DATABASE_MISSING' });
  }
});

/** The wall clock is set back by an hour (NTP, a resumed VM): uploads must not wait for that hour. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../../../tests/support/wait.ts';
import { systemClock } from '../src/util/clock.ts';
import { FileClient, Replica } from '../src/index.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

it('goes on uploading after the clock was set back', async () => {
  await using lab = new Lab(drivers[0]);
  const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)']);
  let stepMs = 0;
  const clock = { ...systemClock, now: () => Date.now() + stepMs };
  const db = lab.db({ syncIntervalMs: 50 });
  await db.open();
  await using client = new FileClient({ path: join(lab.folder, 'replica') });
  await client.init();
  const replica = new Replica(client, db, { clock, syncIntervalMs: 50 });
  replica.start();
  db.start();
  app.exec('INSERT INTO t (payload) VALUES (1)');
  await until('the first upload', () => replica.position.txid === 1n);
  stepMs = -3_600_000;
  app.exec('INSERT INTO t (payload) VALUES (2)');
  await until('the second upload', () => replica.position.txid > 1n);
  expect(replica.position.txid).toBe(2n);
  await replica.stop();
});

/** A process that stopped because another one wrote to its replica, and continues once that has ended. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from '../../../tests/support/wait.ts';
import { DB, Replica, hasCode, restore } from '../src/index.ts';
import { Compactor } from '../src/compaction/compactor.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { Lab, compare, drivers } from './helpers/db-lab.ts';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)';
const INSERT = 'INSERT INTO t (v) VALUES (hex(randomblob(300)))';

describe.each(drivers)('with $name', (driver) => {
  it('goes on above the other one, which has written more transactions than it', async () => {
    await using lab = new Lab(driver);
    const client = new MemoryClient();
    const app = lab.app([TABLE, INSERT]);
    const db = lab.db();
    const replica = new Replica(client, db, { logger: lab.logger, conflictQuietMs: 60 });
    await db.open({ history: replica });
    await replica.replicated();

    mkdirSync(join(lab.folder, 'other'));
    const path = join(lab.folder, 'other', 'app.db');
    await restore(client, { output: path });
    const other = driver.open(path);
    other.exec('PRAGMA journal_mode = wal');
    const otherDb = new DB(path, { driver });
    const otherReplica = new Replica(client, otherDb);
    await otherDb.open({ history: otherReplica });
    for (let row = 0; row < 8; row += 1) {
      other.exec(INSERT);
      await otherReplica.replicated();
    }
    const theirs = otherReplica.position.txid;
    const output = join(lab.folder, 'theirs.db');
    await restore(client, { output });
    other.close();
    await otherDb.close();

    app.exec(INSERT);
    await expect(replica.replicated()).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    let isReplicated = false;
    await until('the conflict is over', async () => {
      await replica.replicated().then(
        () => (isReplicated = true),
        (error: unknown) => {
          if (!hasCode(error, 'REPLICA_CONFLICT')) throw error;
        },
      );
      return isReplicated;
    });
    expect(replica.position.txid).toBe(theirs + 1n);
    for (let more = 0; more < 3; more += 1) {
      const newest = join(lab.folder, `newest-${more}.db`);
      await restore(client, { output: newest });
      compare(readFileSync(newest), lab.source());
      app.exec(INSERT);
      await replica.replicated();
      if (more === 1) await new Compactor(client).compact(1);
    }
    const again = join(lab.folder, 'again.db');
    await restore(client, { output: again, txid: theirs });
    expect(readFileSync(again).equals(readFileSync(output))).toBe(true);

    // A start goes on from there.
    await db.close();
    const restarted = lab.db();
    const next = new Replica(client, restarted);
    await restarted.open({ history: next });
    app.exec(INSERT);
    await next.replicated();
    expect(next.position.txid).toBe(theirs + 5n);
  });
});

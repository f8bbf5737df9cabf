/** Restore drills beside other work on the same database, and after a process that was killed. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drill } from '../src/drill/drill.ts';
import { stagedPath } from '../src/files/staging.ts';
import { Replica, guardClient } from '../src/index.ts';
import type { DB, ReplicaClient } from '../src/index.ts';
import { MemoryClient } from '../src/testing/memory-client.ts';
import { Lab } from './helpers/db-lab.ts';

const isOfDrill = (name: string): boolean => name.includes('drill');

async function replicated(
  lab: Lab,
  before: () => Promise<void> = async () => undefined,
): Promise<{ readonly db: DB; readonly client: ReplicaClient }> {
  lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)', 'INSERT INTO t VALUES (1, randomblob(500000))']);
  const client = guardClient(new MemoryClient({ before }));
  const db = lab.db();
  const replica = new Replica(client, db, {});
  await db.open({ history: replica });
  await replica.replicated();
  return { db, client };
}

describe('a restore drill', () => {
  it('keeps its file if the database is opened again meanwhile', async () => {
    await using lab = new Lab();
    let isReopened = false;
    const { db, client } = await replicated(lab, async () => {
      if (isReopened || !readdirSync(join(lab.folder, '.app.db-litestream')).some(isOfDrill)) return;
      isReopened = true;
      await db.close();
      await db.open();
    });
    const result = await drill(client, { metaPath: db.metaPath, stagingPath: undefined });
    expect({ ...result, isReopened }).toMatchObject({ isReopened: true, isProven: true, isRestored: true });
    expect(readdirSync(db.metaPath).filter(isOfDrill)).toEqual([]);
  });

  it('creates the staging folder', async () => {
    await using lab = new Lab();
    const { db, client } = await replicated(lab);
    const stagingPath = join(lab.folder, 'staging');
    const result = await drill(client, { metaPath: db.metaPath, stagingPath });
    expect(result).toMatchObject({ isProven: true, isRestored: true });
    expect(readdirSync(stagingPath)).toEqual([]);
  });

  it('removes what a killed process with the same process ID left in the staging folder', async () => {
    await using lab = new Lab();
    const place = { metaPath: join(lab.folder, 'meta'), stagingPath: join(lab.folder, 'staging') };
    mkdirSync(place.stagingPath);
    const mine = stagedPath(place, 'drill.db');
    writeFileSync(mine, '');
    // Another process shares only the folder with this one, and in a container the process ID.
    const prefix = /litestream-[0-9a-f]{16}-/.exec(mine)?.[0] ?? '';
    const left = join(place.stagingPath, `${prefix}${process.pid}-drill.db.0123456789abcdef.tmp.tmp`);
    writeFileSync(left, '');
    stagedPath(place, 'drill.db');
    expect(existsSync(left)).toBe(false);
    expect(existsSync(mine)).toBe(true);
  });
});

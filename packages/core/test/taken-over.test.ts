import { createReadStream, writeFileSync } from 'node:fs';
import { LtxDecoder, LtxEncoder } from '@litestream/ltx';
import { expect, it } from 'vitest';
import { endOffsetOf, isOurs } from '../src/sqlite/wal/wal-end.ts';
import type { DB } from '../src/index.ts';
import { Replica, StoredReplica } from '../src/index.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { Lab } from './helpers/db-lab.ts';

/** Makes the last local file look as if upstream had written it: true offsets, no extension. */
async function asUpstreamWrites(db: DB): Promise<void> {
  const { path } = db.localLtx(0).last() ?? {};
  if (path === undefined) throw new Error('no local file');
  const decoder = new LtxDecoder(createReadStream(path));
  const header = await decoder.header();
  expect(isOurs(header)).toBe(true);
  const { extension: _, ...fields } = header;
  const encoder = new LtxEncoder({ ...fields, nodeId: 0n, walOffset: 32, walSize: endOffsetOf(header) - 32 });
  const parts = [encoder.begin().slice()];
  for await (const { pgnos, pages } of decoder.batches()) parts.push(encoder.encodePages(pgnos, pages).slice());
  parts.push(encoder.finish().slice());
  writeFileSync(path, Buffer.concat(parts));
}

/** One life: opened, everything uploaded, and what the store would do about snapshots. Returns the snapshots taken. */
async function live(lab: Lab, client: MemoryClient, beforeUpload?: (db: DB) => Promise<void>): Promise<number> {
  const db = lab.db();
  const replica = new Replica(client, db);
  await db.open({ history: replica });
  await db.sync();
  await beforeUpload?.(db);
  await replica.sync();
  const stored = new StoredReplica(replica, {
    levels: [],
    snapshotIntervalMs: 86_400_000,
    snapshotRetentionMs: 86_400_000,
    level0RetentionMs: 0,
    retentionEnabled: true,
    verifyCompaction: false,
  });
  await stored.snapshotIfDue();
  await stored.snapshotIfDue();
  await db.close();
  return stored.counts.snapshots;
}

it('takes one snapshot, and only one, where another program wrote the history before', async () => {
  await using lab = new Lab();
  const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)']);
  const insert = (): void => app.exec('INSERT INTO t (payload) VALUES (randomblob(500))');
  insert();
  const client = new MemoryClient();
  expect(await live(lab, client)).toBe(1); // The first there is.
  insert();
  expect(await live(lab, client)).toBe(0);
  insert();
  expect(await live(lab, client, asUpstreamWrites)).toBe(0);
  expect(await live(lab, client)).toBe(1);
  expect(await live(lab, client)).toBe(0);
  insert();
  expect(await live(lab, client)).toBe(0);
  expect(lab.snapshots()).toEqual(['first sync', 'last ltx file was not written by this program']);
  await lab.verify();
});

it('still owes the snapshot after a restart that came before it was taken', async () => {
  await using lab = new Lab();
  const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)']);
  const client = new MemoryClient();
  await live(lab, client, asUpstreamWrites);
  const interrupted = lab.db();
  await interrupted.open();
  app.exec('INSERT INTO t (payload) VALUES (randomblob(500))');
  await interrupted.sync();
  await interrupted.close();
  expect(await live(lab, client)).toBe(1);
  expect(await live(lab, client)).toBe(0);
});

/**
 * Snapshots where there is no room for them: the application comes first. On a small file system of its own, which takes
 * root to mount; skipped without.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newHeader } from '@litestream/ltx';
import { describe, expect, it } from 'vitest';
import { pause } from '../../../tests/support/wait.ts';
import type { Body, LtxFileInfo, Op, SqliteDriver } from '../src/index.ts';
import { FileClient, LitestreamError, Replica, guardClient } from '../src/index.ts';
import { keepDescriptor } from '../src/sqlite/database-file/descriptor.ts';
import { listAllPages } from '../src/pages/page-list.ts';
import { refuseWithoutRoom } from '../src/local-ltx/writer/disk-room.ts';
import { runBlocking, runCooperatively } from '../src/util/cooperative.ts';
import { drivers } from './helpers/db-lab.ts';
import { MIB, SUMMARY, SmallDisk, canMount } from './helpers/small-disk.ts';

/** Fails a write of a snapshot in the middle, as often as it is told to, and remembers what it read of each. */
class FlakyClient extends FileClient {
  failures = 0;
  readonly uploads: { readonly size: number; readonly hash: string; readonly announced: number | undefined }[] = [];

  override async writeLtxFile(
    file: Parameters<FileClient['writeLtxFile']>[0],
    body: Body,
    options: Op = {},
  ): Promise<LtxFileInfo> {
    if (file.level !== 9) return await super.writeLtxFile(file, body, options);
    const fails = this.failures-- > 0;
    const { uploads } = this;
    const metered = async function* (): AsyncGenerator<Uint8Array> {
      const hash = createHash('sha256');
      let size = 0;
      for await (const chunk of body.open()) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
        if (!fails || size < 3 * MIB) continue;
        uploads.push({ size, hash: hash.copy().digest('hex'), announced: body.size });
        throw new LitestreamError('reset', { code: 'NETWORK', retryable: true });
      }
      uploads.push({ size, hash: hash.digest('hex'), announced: body.size });
    };
    const { path: _path, ...rest } = body;
    return await super.writeLtxFile(file, { ...rest, open: metered }, options);
  }
}

async function hashOf(chunks: AsyncIterable<Uint8Array>): Promise<{ size: number; hash: string }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, hash: hash.digest('hex') };
}

describe.skipIf(!canMount).each(drivers)('a small disk, with $name', (driver: SqliteDriver) => {
  it('takes a snapshot that has no room beside the database, and the application never meets a full disk', async () => {
    await using disk = new SmallDisk(driver, { size: 48, databaseSize: 12 });
    const db = disk.db();
    const client = new FlakyClient({ path: disk.replica });
    const replica = new Replica(guardClient(client), db, {});
    await client.init();
    await db.open({ history: replica });
    await replica.replicated();
    // Half a snapshot fits.
    disk.fill(8 * MIB);
    let leastFree = disk.free;
    let failure: unknown;
    const writer = setInterval(() => {
      try {
        disk.app.exec('UPDATE t SET payload = randomblob(2000) || substr(payload, 2001) WHERE id = 3');
        leastFree = Math.min(leastFree, disk.free);
      } catch (error) {
        failure ??= error;
      }
    }, 20);
    try {
      const file = await replica.snapshot();
      expect(file.size).toBeGreaterThan(12 * MIB);
    } finally {
      clearInterval(writer);
    }
    expect(failure).toBeUndefined();
    expect(leastFree).toBeGreaterThan(2 * MIB);
    expect(readdirSync(db.metaPath).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    await replica.replicated();
    expect(await disk.restored()).toBe(JSON.stringify(disk.app.all(SUMMARY)));
  });

  it('heals: a local file that is lost before it was uploaded is made up for by a streamed snapshot', async () => {
    await using disk = new SmallDisk(driver, { size: 48, databaseSize: 12 });
    const db = disk.db();
    const client = new FileClient({ path: disk.replica });
    const replica = new Replica(guardClient(client), db, {});
    await client.init();
    await db.open({ history: replica });
    await replica.replicated();
    disk.fill(6 * MIB);
    disk.app.exec('UPDATE t SET payload = randomblob(5000) WHERE id = 4');
    await db.sync();
    rmSync(db.localLtx(0).last()?.path ?? '');
    disk.app.exec('UPDATE t SET payload = randomblob(5000) WHERE id = 5');
    await replica.replicated();
    expect(replica.position).toEqual(db.position);
    expect(await disk.restored()).toBe(JSON.stringify(disk.app.all(SUMMARY)));
  });

  it('an upload that fails half-way begins again at byte 0, with the same bytes', async () => {
    await using disk = new SmallDisk(driver, { size: 64, databaseSize: 12 });
    const db = disk.db();
    const client = new FlakyClient({ path: disk.replica });
    const replica = new Replica(guardClient(client, { backoff: { delayMsMin: 1, delayMsMax: 2 } } as never), db, {});
    await client.init();
    await db.open({ history: replica });
    await replica.replicated();
    const writer = setInterval(() => disk.app.exec('UPDATE t SET payload = randomblob(3000) WHERE id = 5'), 10);
    try {
      client.failures = 2;
      const { size } = await replica.snapshot().catch(() => replica.snapshot());
      const whole = client.uploads.at(-1);
      expect(whole).toMatchObject({ size, announced: size });
      expect(client.uploads.length).toBe(3);
    } finally {
      clearInterval(writer);
    }
    await replica.replicated();
    expect(await disk.restored()).toBe(JSON.stringify(disk.app.all(SUMMARY)));
  });

  it.each([2, 12])(
    'streams the same %i MiB each time, whatever is written and checkpointed meanwhile',
    async (databaseSize) => {
      await using disk = new SmallDisk(driver, { size: 64, databaseSize });
      const db = disk.db();
      await db.open();
      await db.sync();
      disk.app.exec('INSERT INTO t (payload) VALUES (randomblob(50000))');
      await using snapshot = await db.snapshot();
      expect(snapshot.path).toBeUndefined();
      const first = await hashOf(snapshot.body);
      expect(first.size).toBe(snapshot.size);
      for (let i = 0; i < 5; i++) {
        disk.app.exec('UPDATE t SET payload = randomblob(30000) WHERE id = 1');
        disk.app.get('PRAGMA wal_checkpoint(PASSIVE)');
        await db.sync();
      }
      expect(await hashOf(snapshot.body)).toEqual(first);
      // One that is given up on the way leaves the others as they are.
      for await (const chunk of snapshot.body) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      const both = await Promise.all([hashOf(snapshot.body), hashOf(snapshot.body)]);
      expect(both).toEqual([first, first]);
    },
  );

  it('is cut short when the database is closed while it is streamed, and the log can be emptied then', async () => {
    await using disk = new SmallDisk(driver, { size: 64, databaseSize: 12 });
    const db = disk.db();
    await db.open();
    await db.sync();
    await using snapshot = await db.snapshot();
    const chunks = snapshot.body[Symbol.asyncIterator]();
    await chunks.next();
    await db.close();
    const rest = (async (): Promise<void> => {
      for (;;) if ((await chunks.next()).done === true) return;
    })();
    await expect(rest).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(hashOf(snapshot.body)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(disk.app.get('PRAGMA wal_checkpoint(TRUNCATE)')).toMatchObject({ busy: 0 });
  });

  it('is given up when the log grows under it to where the application would run out of room', async () => {
    await using disk = new SmallDisk(driver, { size: 64, databaseSize: 12 });
    const db = disk.db();
    await db.open();
    await db.sync();
    disk.fill(12 * MIB);
    await using snapshot = await db.snapshot();
    const chunks = snapshot.body[Symbol.asyncIterator]();
    await chunks.next();
    // An upload that does not come on, and an application that writes.
    for (let i = 0; i < 6; i++) {
      disk.app.exec(`UPDATE t SET payload = randomblob(${MIB}) WHERE id = 2`);
    }
    const rest = (async (): Promise<void> => {
      for (;;) {
        if ((await chunks.next()).done === true) return;
        await pause(200, 'an upload that hardly comes on');
      }
    })();
    await expect(rest).rejects.toMatchObject({ code: 'DISK_FULL', message: expect.stringContaining('-wal') as string });
    await db.sync();
    disk.app.exec(`UPDATE t SET payload = randomblob(${MIB}) WHERE id = 2`);
  });

  it('makes the snapshot in a folder that is named for it, and removes what a killed process left there', async () => {
    await using disk = new SmallDisk(driver, { size: 64, databaseSize: 2 });
    const stagingPath = join(disk.root, 'staging');
    const db = disk.db({ stagingPath });
    await db.open();
    await db.sync();
    const staged = await db.snapshot();
    expect(staged.path?.startsWith(stagingPath)).toBe(true);
    const [name = ''] = readdirSync(stagingPath);
    expect(statSync(join(stagingPath, name)).size).toBe(staged.size);
    const left = name.replace(/^(litestream-[0-9a-f]+)-[0-9a-f]+-/, '$1-0123456789abcdef-');
    expect(left).not.toBe(name);
    writeFileSync(join(stagingPath, left), 'left');
    writeFileSync(join(stagingPath, 'litestream-of-another.tmp'), '');
    const next = await db.snapshot();
    expect(readFileSync(staged.path ?? '').length).toBe(staged.size);
    await staged[Symbol.asyncDispose]();
    await next[Symbol.asyncDispose]();
    expect(readdirSync(stagingPath)).toEqual(['litestream-of-another.tmp']);
  });

  it('refuses a local file of the whole database that would leave the application too little, and says how much', async () => {
    await using disk = new SmallDisk(driver, { size: 40, databaseSize: 12 });
    const descriptor = keepDescriptor(disk.path);
    if (descriptor === undefined) throw new Error('no database');
    const commit = statSync(disk.path).size / 4096;
    const job = {
      header: newHeader({ pageSize: 4096, commit, minTxid: 1n, maxTxid: 1n, timestampMs: 1, walOffset: 32 }),
      source: {
        pageSize: 4096,
        databaseFd: descriptor.fd,
        walFd: descriptor.fd,
        salt1: 0,
        salt2: 0,
        saltsOffset: 0,
        endsAtLogEnd: true,
      },
      list: listAllPages(4096, commit, new Map()),
      temporaryPath: join(disk.volume, 'x.tmp'),
      ownership: { fileMode: 0o600, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    };
    expect(await runCooperatively(refuseWithoutRoom(job))).toBeUndefined();
    // 12 MiB fit, but the tenth that stays free does not.
    disk.fill(14 * MIB);
    const refusal = {
      code: 'DISK_FULL',
      retryable: true,
      object: disk.volume,
      message: expect.stringMatching(
        /needs 12\.\d MB, and 4\.2 MB are left to the application, but 1\d\.\d MB are free/,
      ) as string,
    };
    expect(await runCooperatively(refuseWithoutRoom(job))).toMatchObject(refusal);
    expect(runBlocking(refuseWithoutRoom(job))).toMatchObject({ code: 'DISK_FULL' });
    disk.app.exec(`UPDATE t SET payload = zeroblob(${MIB})`);
    disk.app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    // What can be compressed fits: the exact size counts, not the bound.
    rmSync(join(disk.volume, 'filler'));
    disk.fill(8 * MIB);
    expect(await runCooperatively(refuseWithoutRoom(job))).toBeUndefined();
  });
});

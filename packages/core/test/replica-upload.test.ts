import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatLtxFilename } from '@litestream/ltx';
import { describe, expect, test } from 'vitest';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { LitestreamError } from '../src/util/error.ts';
import type { LogFields, Logger } from '../src/util/logger.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { FakeClock, settle } from './support/fake-clock.ts';
import { FakeDb } from './support/fake-db.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('replica');
let count = 0;

type Line = readonly [string, string, LogFields | undefined];

function linesLogger(lines: Line[]): Logger {
  const at = (level: string) => (message: string, fields?: LogFields) => void lines.push([level, message, fields]);
  const logger: Logger = {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  };
  return logger;
}

function setUp(before?: (operation: string, object: string) => void | Promise<void>) {
  const folder = join(root, String(count++));
  const db = new FakeDb(folder);
  const calls: string[] = [];
  const client = new MemoryClient({
    before: async (operation, object) => {
      calls.push(`${operation} ${object.replaceAll(/0{8,}/g, '')}`);
      await before?.(operation, object);
    },
  });
  const clock = new FakeClock();
  const lines: Line[] = [];
  const replica = new Replica(client, db, { clock, logger: linesLogger(lines) });
  const uploads = (): string[] => calls.filter((call) => call.startsWith('write'));
  const messages = (level: string): string[] => lines.flatMap(([at, message]) => (at === level ? [message] : []));
  return { folder, db, client, clock, lines, replica, calls, uploads, messages };
}

const refused = (): never => {
  throw new LitestreamError('refused', { code: 'UNAVAILABLE', retryable: true });
};

describe('when uploads happen', () => {
  test('nothing counts as safe before there was anything to send', async () => {
    const { db, replica } = setUp();
    await replica.sync();
    expect(replica.status().lastSyncAt).toBeUndefined();
    db.commit();
    await replica.sync();
    expect(replica.status().lastSyncAt).toBeInstanceOf(Date);
  });

  test('at once after quiet, then once per interval', async () => {
    const { db, clock, replica, uploads } = setUp();
    replica.start();
    await clock.advance(10_000);
    db.commit();
    await settle();
    expect(uploads().length).toBe(1);
    db.commit();
    db.commit();
    await settle();
    expect(uploads().length).toBe(1);
    await clock.advance(999);
    expect(uploads().length).toBe(1);
    await clock.advance(1);
    expect(uploads().length).toBe(3);
    await clock.advance(60_000);
    db.commit();
    await settle();
    expect(uploads().length).toBe(4);
    expect(replica.position).toEqual({ txid: 4n });
    await replica.stop({ finalSync: false });
  });

  test('an idle database costs no request and no timer', async () => {
    const { db, clock, replica, calls } = setUp();
    replica.start();
    await clock.advance(3_600_000);
    expect(calls).toEqual([]);
    db.commit();
    await clock.advance(2000);
    const before = calls.length;
    await clock.advance(3_600_000);
    expect(calls.length).toBe(before);
    expect(clock.timerCount).toBe(0);
    await replica.stop({ finalSync: false });
    expect(db.listenerCount).toBe(0);
  });

  test('in order, each complete before the next starts', async () => {
    let running = 0;
    const { db, replica, uploads } = setUp(async (operation) => {
      if (operation !== 'writeLtxFile') return;
      expect(++running).toBe(1);
      await settle();
      running--;
    });
    for (let txid = 0; txid < 12; txid++) db.commit();
    await Promise.all([replica.sync(), replica.sync(), replica.replicated()]);
    expect(uploads()).toEqual(
      db.history.files.slice(0, 12).map((_, index) => {
        const hex = (index + 1).toString(16);
        return `writeLtxFile ltx/0/${hex}-${hex}.ltx`;
      }),
    );
  });

  test('goes on where the replica ends, with one listing', async () => {
    const { folder, db, client, replica, clock } = setUp();
    for (let txid = 0; txid < 3; txid++) db.commit();
    await replica.sync();
    db.commit();
    const calls: string[] = [];
    const again = new MemoryClient({ store: client.store, before: (operation) => void calls.push(operation) });
    const next = new Replica(again, db, { clock });
    expect(await next.maxTxid()).toBe(3n);
    await next.sync();
    expect(calls.filter((call) => call === 'writeLtxFile').length).toBe(1);
    expect(calls.filter((call) => call === 'ltxFiles').length).toBe(10);
    const output = join(folder, 'out.db');
    await restore(client, { output });
    expect(readFileSync(output).equals(db.history.states[3] ?? Buffer.alloc(0))).toBe(true);
  });

  test('what only a snapshot holds after a crash is sent as well', async () => {
    const { db, client, replica } = setUp();
    for (let txid = 0; txid < 3; txid++) db.commit();
    await replica.snapshot();
    const next = new Replica(client, db);
    db.commit();
    expect(await next.maxTxid()).toBe(3n);
    await next.sync();
    const sent = await Array.fromAsync(client.ltxFiles(0));
    expect(sent.map(({ maxTxid }) => maxTxid)).toEqual([1n, 2n, 3n, 4n]);
    // Where they are gone the snapshot is what there is.
    for (const file of sent) client.store.entries.delete(`ltx/0/${formatLtxFilename(file.minTxid, file.maxTxid)}`);
    for (const txid of [1n, 2n, 3n]) db.lose(txid);
    const later = new Replica(client, db);
    await later.sync();
    expect((await Array.fromAsync(client.ltxFiles(0))).map(({ maxTxid }) => maxTxid)).toEqual([4n]);
    expect(db.snapshotCount).toBe(1);
  });

  test('files keep the time of their last commit', async () => {
    const { db, client, replica } = setUp();
    db.commit();
    await replica.sync();
    const [file] = await Array.fromAsync(client.ltxFiles(0));
    expect(file?.timestamp).toEqual(new Date(Date.UTC(2026, 5, 1) + 1000));
  });
});

describe('replicated()', () => {
  test('takes what is committed first, and shares rounds', async () => {
    const { db, replica, uploads } = setUp();
    db.pending = 2;
    await Promise.all(Array.from({ length: 50 }, () => replica.replicated()));
    expect(uploads().length).toBe(2);
    expect(db.syncCount).toBe(1);
    db.pending = 1;
    const first = replica.replicated();
    await Promise.resolve();
    const late = Promise.all([replica.replicated(), replica.replicated()]);
    await Promise.all([first, late]);
    expect(db.syncCount).toBeLessThanOrEqual(3);
    expect(replica.position).toEqual({ txid: 3n });
  });

  test('a commit during a round is in the next one', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { db, replica } = setUp(async (operation) => {
      if (operation === 'writeLtxFile') await held;
    });
    db.pending = 1;
    const first = replica.replicated();
    await settle();
    db.pending = 1;
    const second = replica.replicated();
    release();
    await first;
    await second;
    expect(replica.position).toEqual({ txid: 2n });
  });

  test('rejects with the failure, and can be left by its caller alone', async () => {
    const { db, replica } = setUp((operation) => (operation === 'writeLtxFile' ? refused() : undefined));
    db.pending = 1;
    await expect(replica.replicated()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(replica.status().lastError).toMatchObject({ code: 'UNAVAILABLE' });
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow = setUp(async (operation) => {
      if (operation === 'writeLtxFile') await held;
    });
    slow.db.pending = 1;
    const stop = new AbortController();
    const left = slow.replica.replicated({ signal: stop.signal });
    const kept = slow.replica.replicated();
    await settle();
    stop.abort(new Error('enough'));
    await expect(left).rejects.toThrow('enough');
    release();
    await kept;
    expect(slow.replica.position).toEqual({ txid: 1n });
  });
});

describe('failures', () => {
  test('backs off to five minutes, logs every 30 s, and says when it recovered', async () => {
    let isDown = true;
    const { db, clock, replica, uploads, messages, lines } = setUp((operation) => {
      if (isDown && operation === 'writeLtxFile') refused();
    });
    replica.start();
    db.commit();
    await clock.advance(3_600_000);
    // 1 + 2 + 4 … + 256 s, then every 300 s.
    expect(uploads().length).toBeGreaterThanOrEqual(18);
    expect(uploads().length).toBeLessThanOrEqual(21);
    const errors = lines.filter(([level]) => level === 'error');
    expect(errors.length).toBeLessThan(uploads().length);
    expect(errors.at(-1)).toMatchObject(['error', 'monitor error', { backoff: 300_000 }]);
    isDown = false;
    await clock.advance(300_000);
    expect(replica.position).toEqual({ txid: 1n });
    expect(messages('info')).toEqual(['replica sync recovered']);
    db.commit();
    await clock.advance(1000);
    expect(replica.position).toEqual({ txid: 2n });
    await replica.stop({ finalSync: false });
  });

  test('never writes to a replica that is ahead, and says so', async () => {
    const { folder, db, client, clock, replica, lines } = setUp();
    for (let txid = 0; txid < 5; txid++) db.commit();
    await replica.sync();
    const older = new FakeDb(join(folder, 'older'));
    for (let txid = 0; txid < 3; txid++) older.commit();
    const before = new Map(client.store.entries);
    const calls: string[] = [];
    const watched = new MemoryClient({ store: client.store, before: (operation) => void calls.push(operation) });
    const second = new Replica(watched, older, { clock, logger: linesLogger(lines) });
    await expect(second.sync()).rejects.toMatchObject({ code: 'REPLICA_AHEAD' });
    second.start();
    older.commit();
    await clock.advance(10_000);
    expect(calls).not.toContain('writeLtxFile');
    expect(client.store.entries).toEqual(before);
    expect(lines.filter(([level]) => level === 'error').length).toBe(1);
    await second.stop({ finalSync: false });
  });

  test.each(['gone', 'damaged', 'of another transaction'])(
    'a local file that is %s becomes a snapshot',
    async (how) => {
      const { folder, db, client, replica, messages } = setUp();
      db.commit();
      await replica.sync();
      for (let txid = 0; txid < 4; txid++) db.commit();
      if (how === 'gone') db.lose(3n);
      else if (how === 'damaged') writeFileSync(db.pathOf(3n), 'x'.repeat(300));
      else writeFileSync(db.pathOf(3n), readFileSync(db.pathOf(2n)));
      await replica.sync();
      expect(replica.position).toEqual({ txid: 5n });
      expect(db.snapshotCount).toBe(1);
      expect(messages('warn')).toEqual(['local ltx file is missing or damaged, replacing it by a snapshot']);
      db.commit();
      await replica.sync();
      const output = join(folder, 'out.db');
      const result = await restore(client, { output });
      expect(result.txid).toBe(6n);
      expect(readFileSync(output).equals(db.history.states[5] ?? Buffer.alloc(0))).toBe(true);
      // A restarted process, which asks level 0, does not take the gap for its position again.
      const next = new Replica(client, db);
      await next.sync();
      expect(db.snapshotCount).toBe(1);
    },
  );

  test('without autoRecover it is an error that names the file and the way out, and nothing is sent behind it', async () => {
    const { db, client } = setUp();
    for (let txid = 0; txid < 3; txid++) db.commit();
    db.lose(2n);
    const replica = new Replica(client, db, { autoRecover: false });
    for (let i = 0; i < 2; i += 1) {
      await expect(replica.sync()).rejects.toMatchObject({
        code: 'LTX_CORRUPT',
        message: expect.stringContaining(db.pathOf(2n)),
        hint: expect.stringContaining('litestream reset'),
      });
    }
    expect([db.snapshotCount, (await Array.fromAsync(client.ltxFiles(0))).length]).toEqual([0, 1]);
    // A snapshot that is there anyway leads on.
    await replica.snapshot();
    await replica.sync();
    expect(replica.position).toEqual({ txid: 3n });
  });

  test('a crash after that snapshot and before the next file costs no second one', async () => {
    const { db, client, replica, lines } = setUp();
    for (let txid = 0; txid < 3; txid++) db.commit();
    db.lose(2n);
    await replica.sync();
    lines.length = 0;
    const next = new Replica(client, db, { logger: linesLogger(lines) });
    await next.sync();
    expect(next.position).toEqual({ txid: 3n });
    expect(db.snapshotCount).toBe(1);
    // Nor does a snapshot that was taken in time hide that the moments in between are lost.
    expect(lines.filter(([level]) => level === 'warn').map(([, message]) => message)).toEqual([
      'local ltx file is missing or damaged, replacing it by a snapshot',
    ]);
  });

  test('damage on the disk between two runs is found before it is sent', async () => {
    const { db, client } = setUp();
    for (let txid = 0; txid < 3; txid++) db.commit();
    const bytes = readFileSync(db.pathOf(2n));
    bytes[bytes.length - 30] = (bytes[bytes.length - 30] ?? 0) ^ 1;
    writeFileSync(db.pathOf(2n), bytes);
    const replica = new Replica(client, db);
    await replica.sync();
    expect(db.snapshotCount).toBe(1);
    expect([...client.store.entries.keys()].some((key) => key.includes('ltx/0/0000000000000002'))).toBe(false);
  });
});

describe('stop()', () => {
  test('sends what is committed first', async () => {
    const { db, replica, uploads } = setUp();
    replica.start();
    db.pending = 3;
    await replica.stop();
    expect(uploads().length).toBe(3);
  });

  test('tries again every interval, in upstream’s words', async () => {
    let left = 2;
    const { db, replica, lines } = setUp((operation) => {
      if (operation === 'writeLtxFile' && left-- > 0) refused();
    });
    db.pending = 1;
    replica.start();
    await replica.stop({ intervalMs: 5, timeoutMs: 60_000, signal: new AbortController().signal });
    const said = lines.filter(([, message]) => message.startsWith('shutdown'));
    expect(said.map(([level, message]) => `${level} ${message}`)).toEqual([
      'warn shutdown sync failed, retrying',
      'warn shutdown sync failed, retrying',
      'info shutdown sync succeeded after retry',
    ]);
    expect(replica.position).toEqual({ txid: 1n });
  });

  test('gives up after its time, and at once on a second signal', async () => {
    const down = (operation: string): void => {
      if (operation === 'writeLtxFile') refused();
    };
    const slow = setUp(down);
    slow.db.pending = 1;
    slow.replica.start();
    await expect(slow.replica.stop({ intervalMs: 10, timeoutMs: 60 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(slow.messages('error')).toContain('shutdown sync failed after timeout');

    const hung = setUp(async (operation) => {
      if (operation === 'writeLtxFile') await new Promise(() => undefined);
    });
    const hanging = new Replica(guardClient(hung.client), hung.db, { clock: hung.clock });
    hung.db.pending = 1;
    hanging.start();
    const hangs = new AbortController();
    const left = hanging.stop({ signal: hangs.signal });
    await settle();
    hangs.abort();
    await expect(left).rejects.toMatchObject({ code: 'ABORTED' });

    const second = new AbortController();
    const retrying = setUp(down);
    retrying.db.pending = 1;
    retrying.replica.start();
    const stopped = retrying.replica.stop({ intervalMs: 60_000, timeoutMs: 120_000, signal: second.signal });
    await settle();
    second.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
  });

  test('once and for all: nothing runs afterwards', async () => {
    const { db, clock, replica, calls } = setUp();
    replica.start();
    db.commit();
    await replica.stop();
    const before = calls.length;
    db.commit();
    await clock.advance(60_000);
    expect(calls.length).toBe(before);
    await replica.stop();
  });
});

/** What a look at a database file takes for proof, and for how long it waits where there is none. */
import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ArrivalWatch } from '../src/db/open/arrival.ts';
import { Lab } from './helpers/db-lab.ts';

const PAGE_SIZE = 4096;

function makeDatabase(path: string): void {
  const database = new DatabaseSync(path);
  database.exec('CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(20000))');
  database.close();
}

const STARTED_MS = performance.now();

/** Both clocks are fixed at this time after the last change of the file and its journal, however long the test takes. */
function setClocks(path: string, afterMs: number): void {
  const times = [path, `${path}-journal`].flatMap((file) => statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? []);
  vi.spyOn(Date, 'now').mockReturnValue(Math.max(...times) + afterMs);
  vi.spyOn(performance, 'now').mockReturnValue(STARTED_MS + afterMs);
}

afterEach(() => void vi.restoreAllMocks());

describe('a database file', () => {
  it('is open to us after a second without a change', async () => {
    await using lab = new Lab();
    makeDatabase(lab.path);
    const watch = new ArrivalWatch(lab.path, lab.logger);
    setClocks(lab.path, 0);
    expect(watch.look()).toMatchObject({ state: 'waiting', reason: 'it was written to a moment ago' });
    setClocks(lab.path, 1100);
    expect(watch.look()).toMatchObject({ state: 'settled' });
  });

  it('is open to us after the quiet time that the program has set', async () => {
    await using lab = new Lab();
    makeDatabase(lab.path);
    const watch = new ArrivalWatch(lab.path, lab.logger, { quietMs: 5000 });
    setClocks(lab.path, 4000);
    expect(watch.look()).toMatchObject({ state: 'waiting', reason: 'it was written to a moment ago' });
    setClocks(lab.path, 5100);
    expect(watch.look()).toMatchObject({ state: 'settled' });
  });

  it('is waited for on a machine where each look takes longer than the quiet time', async () => {
    await using lab = new Lab();
    makeDatabase(lab.path);
    const watch = new ArrivalWatch(lab.path, lab.logger, { quietMs: 20 });
    let elapsedMs = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => (elapsedMs += 60));
    expect(await watch.settled({ busyTimeoutMs: 0 })).toBeDefined();
  });

  it.each([
    ['that ends with zeros, as a preallocated one does', (path: string) => writeFileSync(path, zeroTail(path))],
    ['without a page count that can be trusted', (path: string) => writeFileSync(path, outdated(path))],
    ['that is shorter than it says, beside a journal', (path: string) => shortened(path)],
  ])('%s has to be quiet for half a minute', async (_what, change) => {
    await using lab = new Lab();
    makeDatabase(lab.path);
    change(lab.path);
    const watch = new ArrivalWatch(lab.path, lab.logger);
    setClocks(lab.path, 0);
    expect(watch.look()).toMatchObject({ state: 'waiting' });
    setClocks(lab.path, 29_000);
    expect(watch.look()).toMatchObject({ state: 'waiting', reason: 'it was written to a moment ago' });
    setClocks(lab.path, 30_100);
    expect(watch.look()).toMatchObject({ state: 'settled' });
  });

  it('that is shorter than it says is never open to us', async () => {
    await using lab = new Lab();
    makeDatabase(lab.path);
    const whole = readFileSync(lab.path);
    truncateSync(lab.path, whole.length - PAGE_SIZE);
    const watch = new ArrivalWatch(lab.path, lab.logger);
    setClocks(lab.path, 3_600_000);
    expect(watch.look()).toMatchObject({
      state: 'waiting',
      reason: `it is being copied: ${whole.length - PAGE_SIZE} of ${whole.length} bytes are there`,
    });
    vi.restoreAllMocks();
    appendFileSync(lab.path, whole.subarray(whole.length - PAGE_SIZE));
    expect(await watch.settled({ busyTimeoutMs: 0 })).toBeDefined();
  });

  it('whose change counter moves is written by SQLite, and not waited for', async () => {
    await using lab = new Lab();
    makeDatabase(lab.path);
    const watch = new ArrivalWatch(lab.path, lab.logger);
    setClocks(lab.path, 0);
    expect(watch.look()).toMatchObject({ state: 'waiting' });
    const database = new DatabaseSync(lab.path);
    database.exec('INSERT INTO t VALUES (1)');
    expect(watch.look()).toMatchObject({ state: 'settled' });
    database.close();
  });

  it('that is waited for is in the log once, after ten seconds', async () => {
    await using lab = new Lab();
    writeFileSync(lab.path, '');
    const watch = new ArrivalWatch(lab.path, lab.logger);
    const told = (): unknown[] => lab.logger.lines.filter(({ level }) => level === 'info').map(({ fields }) => fields);
    setClocks(lab.path, 0);
    await watch.settled({ busyTimeoutMs: 0 });
    expect(told()).toEqual([]);
    setClocks(lab.path, 10_100);
    for (let look = 0; look < 3; look++) await watch.settled({ busyTimeoutMs: 0 });
    expect(told()).toEqual([{ path: lab.path, reason: 'it is empty' }]);
    expect(watch.reason).toBe('it is empty');
  });
});

function zeroTail(path: string): Buffer {
  const bytes = readFileSync(path);
  return bytes.fill(0, bytes.length - PAGE_SIZE);
}

/** As a program before SQLite 3.7 leaves it: the change counter moved, the count was not kept. */
function outdated(path: string): Buffer {
  const bytes = readFileSync(path);
  bytes.writeUInt32BE(bytes.readUInt32BE(24) + 1, 24);
  return bytes;
}

function shortened(path: string): void {
  truncateSync(path, readFileSync(path).length - PAGE_SIZE);
  writeFileSync(`${path}-journal`, Buffer.concat([Buffer.from('d9d505f920a163d7', 'hex'), Buffer.alloc(504)]));
}

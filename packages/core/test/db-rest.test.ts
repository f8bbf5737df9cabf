import { existsSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { Connections } from '../src/db/session/connections.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

/** Descriptors of this process that are open on files of a folder: the test runner opens and closes others. */
function descriptorsIn(folder: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${folder}/`);
    } catch {
      return false; // That of the listing itself.
    }
  }).length;
}

const busy = { busyTimeoutMs: 1000 };

function databaseOf({ path }: Lab): Parameters<typeof Connections.open>[0] {
  const { dev, ino } = statSync(path, { bigint: true });
  return { path, file: { device: dev, inode: ino } };
}

describe.each(drivers)('connections at rest, with $name', (driver) => {
  it('close what writes: the log stays where it is, the pin holds, and all comes back when it is needed', async () => {
    await using lab = new Lab(driver);
    writeFileSync(lab.path, '');
    const app = driver.open(lab.path);
    app.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    const log = `${lab.path}-wal`;
    const connections = await Connections.open(databaseOf(lab), driver, busy);
    await connections.bumpSequence(busy);
    expect(connections.movePin()).toBe(true);
    app.close();

    const before = statSync(log, { bigint: true });
    connections.rest(0);
    const after = statSync(log, { bigint: true });
    expect([after.ino, after.size]).toEqual([before.ino, before.size]);
    expect(connections.pinned).toBe(true);

    // The pin still keeps others from emptying the log.
    const other = driver.open(lab.path);
    expect(other.get('PRAGMA wal_checkpoint(TRUNCATE)')).toMatchObject({ busy: 1 });
    other.exec('INSERT INTO t VALUES (2)');
    other.close();
    expect(statSync(log).size).toBeGreaterThan(0);

    await connections.bumpSequence(busy);
    const result = await connections.barrier(busy, () => {
      connections.unpin();
      const passive = connections.checkpoint('PASSIVE');
      connections.pin();
      return passive;
    });
    expect(result).toMatchObject({ busy: false });
    expect(result.checkpointed).toBe(result.log);
    connections.rest(0);
    connections.close();
    expect(existsSync(log)).toBe(true);
    const reader = driver.open(lab.path, { readOnly: true });
    expect(reader.get('SELECT COUNT(*) AS n FROM t')).toEqual({ n: 2 });
    reader.close();
  });

  it('leave what is in use alone, and what was used a moment ago', async () => {
    await using lab = new Lab(driver);
    lab.app().exec('CREATE TABLE t (a)');
    const connections = await Connections.open(databaseOf(lab), driver, busy);
    // A short time by the clock, however long the test takes.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    await connections.barrier(busy, () => connections.rest(0));
    const opened = vi.spyOn(driver, 'open');
    connections.rest();
    await connections.bumpSequence(busy);
    expect(opened).not.toHaveBeenCalled();
    opened.mockRestore();
    clock.mockRestore();
    connections.close();
  });

  it.runIf(existsSync('/proc/self/fd'))('hold the same descriptors after any number of rests', async () => {
    await using lab = new Lab(driver);
    lab.app().exec('CREATE TABLE t (a)');
    const connections = await Connections.open(databaseOf(lab), driver, busy);
    const round = async (): Promise<number> => {
      await connections.bumpSequence(busy);
      connections.checkpoint('PASSIVE');
      (await connections.openPinned(busy)).close();
      connections.rest(0);
      return descriptorsIn(lab.folder);
    };
    const first = await round();
    for (let count = 0; count < 20; count += 1) expect(await round()).toBeLessThanOrEqual(first);
    connections.close();
  });
});

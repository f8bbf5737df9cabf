/** What a user may do to the files of `litestream replicate`, and what it makes of that: through the command line. */
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DB } from '@litestream/core';
import { describe, expect, test } from 'vitest';
import { ChainWriter } from '../support/chain-writer.ts';
import { verifyChain } from '../support/chain.ts';
import type { Child } from '../support/child.ts';
import { fileUrl, tsProgram, writeConfig } from '../support/programs.ts';
import { Random, seedOf } from '../support/random.ts';
import { levelFiles, levelMaxTxid } from '../support/replica-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/wait.ts';

const seed = seedOf();
console.log(`self-healing: SEED=${seed}`);
const program = tsProgram();

class Place {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
  readonly meta: string;
  readonly writer: ChainWriter;

  constructor(folder: string) {
    this.folder = folder;
    this.database = join(folder, 'app.db');
    this.replica = join(folder, 'replica');
    this.meta = join(folder, '.app.db-litestream');
    this.writer = new ChainWriter(this.database, new Random(seed));
  }

  commit(count: number): void {
    for (let i = 0; i < count; i += 1) this.writer.transaction(2, { add: 3, change: 1 });
  }

  /** As many uploads as rounds: each transaction in a file of its own. */
  async replicateOnce(rounds: number): Promise<void> {
    for (let i = 0; i < rounds; i += 1) {
      this.commit(1);
      await program.replicateOnce(this.database, this.replica);
    }
  }

  /** Local files that are not uploaded yet, as an outage of the replica leaves them. */
  async cutLocally(count: number): Promise<void> {
    await using db = new DB(this.database);
    await db.open();
    for (let i = 0; i < count; i += 1) {
      this.commit(1);
      await db.sync();
    }
  }

  async start(extra: readonly string[] = []): Promise<Child> {
    const config = await writeConfig(join(this.folder, 'litestream.yml'), {
      database: this.database,
      replica: this.replica,
      levels: ['1s', '10m'],
    });
    await writeFile(config, `${extra.join('\n')}\n${await readFile(config, 'utf8')}`);
    return program.replicate(config);
  }

  /** Continues replication until a commit made now is uploaded and compacted, then ends it. Returns its log. */
  async goOn(daemon: Child): Promise<string> {
    const failed = (): string | undefined => (daemon.exit === undefined ? undefined : daemon.output);
    // A snapshot may be what carries it there.
    const newest = async (): Promise<bigint> => {
      const [file, snapshot] = await Promise.all([levelMaxTxid(this.replica), levelMaxTxid(this.replica, 9)]);
      return file > snapshot ? file : snapshot;
    };
    const before = await newest();
    this.commit(1);
    await until('an upload', async () => (await newest()) > before, { failed });
    // Compaction meets every gap and damaged file. It must not report what Litestream has already reported.
    await until('level 1 to follow', async () => (await levelMaxTxid(this.replica, 1)) > before, { failed });
    await daemon.stop();
    return daemon.output;
  }

  async restore(txid?: bigint): Promise<number> {
    const output = join(this.folder, `restored-${txid ?? 'newest'}.db`);
    await rm(output, { force: true });
    await program.restore(this.replica, output, txid === undefined ? {} : { txid });
    return verifyChain(output).transactionCount;
  }

  [Symbol.dispose](): void {
    this.writer[Symbol.dispose]();
  }
}

function lines(log: string, level: string): string[] {
  return log.split('\n').filter((line) => line.includes(`level=${level}`));
}

/** A file that retention would not touch yet goes bad in the middle of what is still to be uploaded. */
async function spoil(path: string, how: 'missing' | 'corrupt'): Promise<void> {
  if (how === 'missing') return await rm(path);
  const bytes = await readFile(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x55;
  await writeFile(path, bytes);
}

describe(`self-healing, SEED=${seed}`, { timeout: 600_000 }, () => {
  test.each([
    ['missing', []],
    ['corrupt', []],
    ['missing', ['auto-recover: true']],
  ] as const)('a local file that is %s before it was uploaded, %j', async (how, extra) => {
    await using folder = await temporaryFolder('heal');
    using place = new Place(folder.path);
    await place.replicateOnce(2);
    const before = await levelMaxTxid(place.replica);
    const count = await place.restore(before);
    await place.cutLocally(3);
    const files = await levelFiles(place.meta, 0);
    await spoil(files.find(({ maxTxid }) => maxTxid === before + 2n)?.path ?? '', how);
    const log = await place.goOn(await place.start(extra));
    expect(lines(log, 'WARN')).toHaveLength(1);
    expect(lines(log, 'WARN')[0]).toContain('local ltx file is missing or damaged, replacing it by a snapshot');
    expect(lines(log, 'ERROR')).toEqual([]);
    expect(await levelFiles(place.replica, 9)).not.toEqual([]);
    expect(await place.restore()).toBe(place.writer.transactionCount);
    expect(await place.restore(before)).toBe(count);
  });

  test('the metadata folder is deleted', async () => {
    await using folder = await temporaryFolder('heal');
    using place = new Place(folder.path);
    await place.replicateOnce(3);
    const before = await levelMaxTxid(place.replica);
    const count = await place.restore(before);
    place.commit(2);
    await rm(place.meta, { recursive: true });
    const log = await place.goOn(await place.start());
    expect(log).toContain('detected database behind replica');
    expect(lines(log, 'WARN').length).toBeLessThanOrEqual(1);
    expect(lines(log, 'ERROR')).toEqual([]);
    expect(await place.restore()).toBe(place.writer.transactionCount);
    expect(await place.restore(before)).toBe(count);
  });

  test('`litestream reset`', async () => {
    await using folder = await temporaryFolder('heal');
    using place = new Place(folder.path);
    await place.replicateOnce(3);
    const before = await levelMaxTxid(place.replica);
    const count = await place.restore(before);
    place.commit(2);
    await program.start('reset', place.database).done();
    place.commit(2);
    const log = await place.goOn(await place.start());
    expect(lines(log, 'ERROR')).toEqual([]);
    expect(await place.restore()).toBe(place.writer.transactionCount);
    expect(await place.restore(before)).toBe(count);
  });

  test.each([0, 3])('the metadata folder of another database, and %i files of it to upload', async (pending) => {
    await using folder = await temporaryFolder('heal');
    await using elsewhere = await temporaryFolder('elsewhere');
    using place = new Place(folder.path);
    await place.replicateOnce(3);
    const before = await levelMaxTxid(place.replica);
    const count = await place.restore(before);
    {
      using other = new Place(elsewhere.path);
      await other.replicateOnce(3);
      expect(await levelMaxTxid(other.replica)).toBe(before);
      await other.cutLocally(pending);
    }
    await rm(place.meta, { recursive: true });
    await cp(join(elsewhere.path, '.app.db-litestream'), place.meta, { recursive: true });
    const log = await place.goOn(await place.start());
    expect(lines(log, 'WARN')).toHaveLength(1);
    expect(lines(log, 'WARN')[0]).toContain('another timeline');
    expect(lines(log, 'ERROR')).toEqual([]);
    expect(await place.restore()).toBe(place.writer.transactionCount);
    expect(await place.restore(before)).toBe(count);
    await program
      .start('restore', '-o', join(folder.path, 'checked.db'), '-integrity-check', 'full', fileUrl(place.replica))
      .done();
  });

  test('the whole of another place: database, log and metadata', async () => {
    await using folder = await temporaryFolder('heal');
    await using elsewhere = await temporaryFolder('elsewhere');
    const place = new Place(folder.path);
    await place.replicateOnce(3);
    const before = await levelMaxTxid(place.replica);
    const count = await place.restore(before);
    place[Symbol.dispose]();
    using other = new Place(elsewhere.path);
    await other.replicateOnce(5);
    await rm(other.replica, { recursive: true });
    await cp(place.replica, other.replica, { recursive: true, preserveTimestamps: true });
    const log = await other.goOn(await other.start());
    expect(lines(log, 'WARN')).toHaveLength(1);
    expect(lines(log, 'ERROR')).toEqual([]);
    expect(await other.restore()).toBe(other.writer.transactionCount);
    expect(await other.restore(before)).toBe(count);
  });

  test.each(['missing', 'corrupt'] as const)('a file of the replica is %s', async (how) => {
    await using folder = await temporaryFolder('heal');
    using place = new Place(folder.path);
    await place.replicateOnce(4);
    const before = (await levelMaxTxid(place.replica)) - 2n;
    const count = await place.restore(before);
    const files = await levelFiles(place.replica, 0);
    await spoil(files.find(({ maxTxid }) => maxTxid === before + 1n)?.path ?? '', how);
    // The copy beside the database would do in its place.
    await rm(join(place.meta, 'ltx', '0', files.find(({ maxTxid }) => maxTxid === before + 1n)?.name ?? ''));
    const daemon = await place.start();
    const healed = async (): Promise<boolean> => (await levelMaxTxid(place.replica, 1)) > before + 1n;
    await until('level 1 to go on', healed, { failed: () => (daemon.exit === undefined ? undefined : daemon.output) });
    const log = await place.goOn(daemon);
    expect(lines(log, 'ERROR')).toEqual([]);
    expect(lines(log, 'WARN')).toHaveLength(1);
    expect(await levelFiles(place.replica, 9)).not.toEqual([]);
    expect(await place.restore()).toBe(place.writer.transactionCount);
    expect(await place.restore(before)).toBe(count);
  });
});

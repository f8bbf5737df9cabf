/** An upload takes longer than the sync interval: the monitor waits for it, and the backlog stays short. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { pause, until } from '../../../tests/support/wait.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient } from '../src/testing/index.ts';
import type { LtxFileInfo } from '../src/index.ts';
import { Lab } from './helpers/db-lab.ts';

const SYNC_INTERVAL_MS = 20;
/** How long the monitor waits at most, as in `monitor.ts`. */
const PATIENCE_MS = 10_000;

/** Takes files only while its gate is open. */
class GatedClient extends MemoryClient {
  #open = Promise.withResolvers<void>();

  open(): void {
    this.#open.resolve();
  }

  close(): void {
    this.#open = Promise.withResolvers<void>();
  }

  override async writeLtxFile(...args: Parameters<MemoryClient['writeLtxFile']>): Promise<LtxFileInfo> {
    await this.#open.promise;
    return await super.writeLtxFile(...args);
  }
}

/** A database with some replicas, each behind its gate; everything is uploaded, and all gates are closed. */
class World implements AsyncDisposable {
  readonly lab = new Lab();
  readonly app = this.lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY)']);
  readonly db = this.lab.db({ syncIntervalMs: SYNC_INTERVAL_MS });
  readonly clients: readonly GatedClient[];
  readonly replicas: readonly Replica[];
  commitCount = 0;

  constructor(replicaCount: number) {
    this.clients = Array.from({ length: replicaCount }, () => new GatedClient());
    this.replicas = this.clients.map((client) => new Replica(client, this.db, { syncIntervalMs: SYNC_INTERVAL_MS }));
  }

  async begin(): Promise<void> {
    await this.db.open();
    this.db.start();
    for (const client of this.clients) client.open();
    for (const replica of this.replicas) replica.start();
    this.commit();
    await Promise.all(this.replicas.map((replica) => replica.replicated()));
    for (const client of this.clients) client.close();
  }

  commit(): void {
    this.app.exec('INSERT INTO t DEFAULT VALUES');
    this.commitCount += 1;
  }

  /** Commits for a hundred sync intervals: without the wait, each makes a file. */
  async commitMuch(): Promise<{ readonly fileCount: number; readonly elapsedMs: number }> {
    const before = this.db.position.txid;
    const startedMs = performance.now();
    while (performance.now() - startedMs < 100 * SYNC_INTERVAL_MS) {
      this.commit();
      await pause(2, 'the application commits now and then');
    }
    return { fileCount: Number(this.db.position.txid - before), elapsedMs: performance.now() - startedMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) client.open();
    for (const replica of this.replicas) await replica.stop();
    await this.lab[Symbol.asyncDispose]();
  }
}

describe('a replica that takes no file for a while', () => {
  test('gets few files afterwards, with all commits', async () => {
    await using world = new World(1);
    await world.begin();
    const { fileCount, elapsedMs } = await world.commitMuch();
    expect(fileCount).toBeGreaterThan(0);
    expect(fileCount).toBeLessThanOrEqual(6 + elapsedMs / PATIENCE_MS);

    const [client, replica] = [world.clients[0], world.replicas[0]];
    client?.open();
    await replica?.replicated();
    const outputPath = join(world.lab.folder, 'restored.db');
    await restore(client ?? new MemoryClient(), { output: outputPath });
    using restored = new DatabaseSync(outputPath);
    expect({ ...restored.prepare('SELECT count(*) AS n FROM t').get() }).toEqual({ n: world.commitCount });
  });

  test('does not delay the local file of a commit that a sync asks for', async () => {
    await using world = new World(1);
    await world.begin();
    await world.commitMuch();
    world.commit();
    const before = world.db.position.txid;
    expect((await world.db.sync()).txid).toBeGreaterThan(before);
  });

  test('does not slow down another replica that keeps up', async () => {
    await using world = new World(2);
    await world.begin();
    const [fast, slow] = world.replicas;
    world.clients[0]?.open();
    await until('a backlog of the slow replica', async () => {
      world.commit();
      await pause(2, 'the application commits now and then');
      return (slow?.position.txid ?? 0n) + 20n < (fast?.position.txid ?? 0n);
    });
    expect(slow?.status().lastError).toBeUndefined();
  });
});

/** A database, its application and its replication, killed again and again; and what is proven after each time. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ChainWriter } from '../support/chain-writer.ts';
import { verifyChain } from '../support/chain.ts';
import type { ChainState } from '../support/chain.ts';
import type { Child } from '../support/child.ts';
import { assertSamePages } from '../support/pages.ts';
import { tsProgram } from '../support/programs.ts';
import type { Program } from '../support/programs.ts';
import { Random } from '../support/random.ts';
import { levelMaxTxid } from '../support/replica-folder.ts';
import { lastProgress, startWriter } from '../support/start-writer.ts';
import { pause, until } from '../support/wait.ts';

export interface Paths {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
  readonly progress: string;
}

/** How replication runs in this life, and what it acknowledges. */
export interface Replication {
  start(): Promise<Child>;
  /** Number of the last transaction it promised to be on the replica. */
  acknowledged(): Promise<number>;
}

export class Life {
  readonly paths: Paths;
  readonly random: Random;
  readonly pageSize: number;
  readonly autoVacuum: 'none' | 'full' | 'incremental';
  readonly program: Program = tsProgram();
  readonly #replication: Replication;
  readonly #restored: ChainState[] = [];
  #writer: Child | undefined;
  #daemon: Child | undefined;
  #promised = 0;
  #restoreCount = 0;

  constructor(folder: string, seed: number, replicationOf: (life: Life) => Replication) {
    this.random = new Random(seed);
    this.paths = {
      folder,
      database: join(folder, 'app.db'),
      replica: join(folder, 'replica'),
      progress: join(folder, 'progress'),
    };
    this.pageSize = this.random.pick([512, 1024, 4096, 4096, 16384, 65536]);
    this.autoVacuum = this.random.pick(['none', 'full', 'incremental']);
    this.#replication = replicationOf(this);
  }

  /** One round: both run, then something is killed at a random moment, and the replica is put to the proof. */
  async round(): Promise<void> {
    const { random } = this;
    await this.#revive();
    await pause(random.between(20, 600), 'the moment at which it is killed');
    const victim = random.pick(['writer', 'daemon', 'both'] as const);
    await Promise.all([
      victim === 'daemon' ? undefined : this.#writer?.kill(),
      victim === 'writer' ? undefined : this.#daemon?.kill(),
    ]);
    if (random.chance(0.5)) await pause(random.between(1, 300), 'what was not killed goes on');
    await this.#prove();
    if (random.chance(0.15)) await this.#settle();
  }

  /** The end: everything stops in good order; replica and database are the same, page by page. */
  async end(): Promise<{ transactionCount: number; restoreCount: number }> {
    await this.#revive();
    await pause(300, 'both at work for a while');
    await this.#settle();
    const { database } = this.paths;
    {
      using writer = new ChainWriter(database, this.random);
      writer.checkpoint('TRUNCATE');
    }
    const copy = join(this.paths.folder, 'source.db');
    await copyFile(database, copy);
    const source = verifyChain(copy);
    this.#assertPrefixes(copy);
    await assertSamePages(copy, await this.#restore(), 'source and replica at the end');
    return { transactionCount: source.transactionCount, restoreCount: this.#restoreCount };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#writer?.kill(), this.#daemon?.kill()]);
  }

  async #revive(): Promise<void> {
    for (const child of [this.#writer, this.#daemon]) {
      if (child?.exit !== undefined && child.exit.signal === null) {
        throw new Error(`${child.name} ended by itself (${child.exit.code}):\n${child.output}`);
      }
    }
    if (this.#daemon === undefined || this.#daemon.exit !== undefined) {
      const before = await levelMaxTxid(this.paths.replica);
      const daemon = await this.#replication.start();
      this.#daemon = daemon;
      this.#startWriter();
      // Mostly it is killed while it works; now and then while it starts.
      if (before > 0n && this.random.chance(0.2)) return;
      await until('replication to go on', async () => (await levelMaxTxid(this.paths.replica)) > before, {
        failed: () => (daemon.exit === undefined ? undefined : `it ended:\n${daemon.output}`),
      });
    }
    this.#startWriter();
  }

  #startWriter(): void {
    if (this.#writer !== undefined && this.#writer.exit === undefined) return;
    const { database, progress } = this.paths;
    this.#writer = startWriter({
      database,
      progress,
      seed: this.random.between(0, 2 ** 31),
      pageSize: this.pageSize,
      autoVacuum: this.autoVacuum,
    });
  }

  /** Restores what is there and holds it against every promise made so far. */
  async #prove(): Promise<void> {
    const promised = Math.max(this.#promised, await this.#replication.acknowledged());
    const state = verifyChain(await this.#restore());
    if (state.transactionCount < promised) {
      throw new Error(`a restore holds ${state.transactionCount} transactions, ${promised} were promised`);
    }
    // What could be restored once must be there ever after.
    this.#promised = state.transactionCount;
    this.#restored.push(state);
  }

  /** Writer and replication end in good order: then all that was committed is on the replica. */
  async #settle(): Promise<void> {
    if (this.#writer !== undefined && this.#writer.exit === undefined) await this.#writer.stop({ early: true });
    const { database, progress, replica } = this.paths;
    const daemon = this.#daemon;
    if (daemon !== undefined && daemon.exit === undefined) await daemon.stop({ early: true });
    // Killed before, or started so late that it could not yet listen to the signal: its work is left to another.
    if (daemon?.exit?.code !== 0) await this.program.replicateOnce(database, replica);
    this.#promised = Math.max(this.#promised, await lastProgress(progress));
    await this.#prove();
    this.#daemon = undefined;
    this.#writer = undefined;
  }

  async #restore(): Promise<string> {
    this.#restoreCount += 1;
    const output = join(this.paths.folder, `restored-${this.#restoreCount}.db`);
    await this.program.restore(this.paths.replica, output, { proof: 'required' });
    return output;
  }

  /** Each restored state was a state of the source, not just consistent in itself. */
  #assertPrefixes(source: string): void {
    const database = new DatabaseSync(source, { readOnly: true });
    const select = database.prepare('SELECT hex(hash) AS hash FROM chain WHERE txn = ? ORDER BY id DESC LIMIT 1');
    for (const { transactionCount, hash } of this.#restored) {
      const found = select.get(transactionCount)?.['hash'];
      if (transactionCount > 0 && String(found).toLowerCase() !== hash) {
        throw new Error(`transaction ${transactionCount} was restored with another content than it has`);
      }
    }
    database.close();
  }
}

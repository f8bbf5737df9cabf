/** A database, its replication, a follower that is killed again and again, and a reader that proves what it sees. */
import { existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { verifyChain } from '../support/chain.ts';
import { Child } from '../support/child.ts';
import { assertSamePages } from '../support/pages.ts';
import { fileUrl, tsProgram, writeConfig } from '../support/programs.ts';
import { Random } from '../support/random.ts';
import { levelMaxTxid, replicaMaxTxid } from '../support/replica-folder.ts';
import { repositoryRoot } from '../support/repository.ts';
import { lastProgress, startWriter } from '../support/start-writer.ts';
import { pause, until } from '../support/wait.ts';
import type { CopyReaderOptions } from './copy-reader.ts';

const program = tsProgram();
const pageSizes = [512, 1024, 4096, 16_384];

export class FollowLife {
  readonly random: Random;
  readonly #folder: string;
  readonly #database: string;
  readonly #replica: string;
  readonly #copy: string;
  readonly #readLog: string;
  readonly #children: { daemon?: Child; writer?: Child; follower?: Child; reader?: Child } = {};
  readonly #config: string;
  #pageSize: number;
  followLog = '';
  pageSizeChangeCount = 0;

  constructor(folder: string, lifeSeed: number) {
    this.random = new Random(lifeSeed);
    this.#folder = folder;
    this.#database = join(folder, 'app.db');
    this.#replica = join(folder, 'replica');
    this.#copy = join(folder, 'copy.db');
    this.#readLog = join(folder, 'read.log');
    this.#config = join(folder, 'litestream.yml');
    this.#pageSize = this.random.pick(pageSizes);
  }

  async begin(): Promise<void> {
    await writeConfig(this.#config, {
      database: this.#database,
      replica: this.#replica,
      levels: ['1s', '3s'],
      snapshotInterval: '2s',
      // Short enough that a follower that was away now and then finds nothing that continues its copy.
      snapshotRetention: this.random.pick(['1s', '24h']),
      l0Retention: this.random.pick(['1s', '5m']),
      syncInterval: '20ms',
      minCheckpointPageCount: this.random.pick([50, 1000]),
    });
    await this.#startSource();
  }

  async #startSource(): Promise<void> {
    this.#children.writer = startWriter({
      database: this.#database,
      progress: join(this.#folder, 'progress'),
      seed: this.random.between(0, 2 ** 31),
      pageSize: this.#pageSize,
      autoVacuum: this.random.pick(['none', 'full', 'incremental']),
      delayMs: 15,
    });
    const before = await levelMaxTxid(this.#replica);
    const daemon = program.replicate(this.#config);
    this.#children.daemon = daemon;
    await until('a first file', async () => (await levelMaxTxid(this.#replica)) > before, {
      failed: () => (daemon.exit === undefined ? undefined : daemon.output),
    });
  }

  /** Of the source, which for that nobody else may have open. */
  async #changePageSize(): Promise<void> {
    const { writer, daemon } = this.#children;
    await writer?.stop({ early: true });
    await daemon?.stop();
    this.#pageSize = this.random.pick(pageSizes.filter((size) => size !== this.#pageSize));
    const source = new DatabaseSync(this.#database, { timeout: 60_000 });
    source.exec(
      `PRAGMA journal_mode = delete; PRAGMA page_size = ${this.#pageSize}; VACUUM; PRAGMA journal_mode = wal`,
    );
    source.close();
    this.pageSizeChangeCount += 1;
    await this.#startSource();
  }

  /** One follower's life, ended by kill -9 at a moment nobody chose. */
  async round(): Promise<void> {
    const { random } = this;
    this.#refuseEnded();
    if (random.chance(0.1)) await this.#changePageSize();
    const follower = this.#startFollower();
    if (!existsSync(this.#copy) && random.chance(0.5)) {
      // Killed while it restores: no half of a database may be left under the name.
      await pause(random.between(50, 500), 'the moment at which it is killed');
      await follower.kill();
      if (existsSync(this.#copy)) await this.#startReader();
      return;
    }
    await until('the copy', () => existsSync(this.#copy), {
      failed: () => (follower.exit === undefined ? undefined : follower.output),
    });
    await this.#startReader();
    if (random.chance(0.7)) await this.#untilApplied(follower);
    const isChanging = random.chance(0.1);
    if (isChanging) await this.#changePageSize();
    await pause(random.between(0, isChanging ? 1000 : 400), 'the moment at which it is killed');
    this.#refuseEnded();
    await follower.kill();
    this.followLog += follower.output;
    const dice = random.next();
    // Nobody reads while nobody follows: the next to open the copy has to recover it.
    if (dice < 0.3) await this.#children.reader?.kill();
    // Away for long enough that its place in the history is gone.
    else if (dice < 0.4) await pause(2500, 'the follower is away while snapshots expire');
    this.#refuseEnded();
  }

  /** Everything ends in good order; then the copy is the source, page by page. */
  async end(): Promise<{ transactionCount: number; proofCount: number }> {
    const { writer, daemon } = this.#children;
    await writer?.stop({ early: true });
    await daemon?.stop();
    const newest = await replicaMaxTxid(this.#replica);
    const follower = this.#startFollower();
    await until('the copy to catch up', async () => (await this.#position()) === newest, {
      failed: () => (follower.exit === undefined ? undefined : follower.output),
    });
    const before = await this.#proofCount();
    await this.#startReader();
    await until('a last proof', async () => (await this.#proofCount()) > before, {
      failed: () => this.#readerFailure(),
    });
    await this.#children.reader?.kill();
    await follower.stop();
    if (!follower.output.includes('follow mode stopped')) throw new Error(follower.output);
    const restored = join(this.#folder, 'restored.db');
    await program.restore(this.#replica, restored);
    const copied = join(this.#folder, 'copied.db');
    if (existsSync(`${this.#copy}-wal`)) throw new Error('the log was left beside the copy');
    await copyFile(this.#copy, copied);
    await assertSamePages(restored, copied, 'a restore and the copy');
    const { transactionCount } = verifyChain(copied);
    const committed = await lastProgress(join(this.#folder, 'progress'));
    if (transactionCount !== committed)
      throw new Error(`${transactionCount} transactions, ${committed} were committed`);
    return { transactionCount, proofCount: await this.#proofCount() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Object.values(this.#children).map((child) => child.kill()));
  }

  #startFollower(): Child {
    const args = ['-f', '-follow-interval', this.random.pick(['5ms', '50ms']), '-o', this.#copy];
    const follower = program.start('restore', ...args, fileUrl(this.#replica));
    this.#children.follower = follower;
    return follower;
  }

  async #startReader(): Promise<void> {
    const { reader } = this.#children;
    if (reader !== undefined && reader.exit === undefined) return;
    const path = join(repositoryRoot, 'tests', 'chaos', 'copy-reader.ts');
    const options: CopyReaderOptions = {
      copy: this.#copy,
      log: this.#readLog,
      seed: this.random.between(0, 2 ** 31),
      seen: await lastProgress(this.#readLog),
    };
    this.#children.reader = new Child('reader', process.execPath, ['--no-warnings', path, JSON.stringify(options)]);
  }

  async #untilApplied(follower: Child): Promise<void> {
    await until('an update', () => follower.output.includes('applied updates'), {
      failed: () => this.#readerFailure() ?? (follower.exit === undefined ? undefined : follower.output),
    });
  }

  #refuseEnded(): void {
    for (const child of Object.values(this.#children)) {
      if (child.exit !== undefined && child.exit.signal === null)
        throw new Error(`${child.name} ended:\n${child.output}`);
    }
  }

  #readerFailure(): string | undefined {
    const { reader } = this.#children;
    return reader?.exit === undefined || reader.exit.signal !== null ? undefined : reader.output;
  }

  async #position(): Promise<bigint> {
    const text = await readFile(`${this.#copy}-txid`, 'utf8').catch(() => '0');
    return BigInt(`0x${text.trim()}`);
  }

  async #proofCount(): Promise<number> {
    const text = await readFile(this.#readLog, 'utf8').catch(() => '');
    return text.split('\n').length - 1;
  }
}

/**
 * `litestream restore -f` killed with kill -9 at random moments, while others read the copy and prove every state they
 * see. `FOLLOW_ROUNDS` sets how many rounds (default 40), `SEED` repeats a run's choices.
 */
import { existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verifyChain } from '../support/chain.ts';
import { Child } from '../support/child.ts';
import { assertSamePages } from '../support/pages.ts';
import { fileUrl, tsProgram, writeConfig } from '../support/programs.ts';
import { Random, seedOf } from '../support/random.ts';
import { levelMaxTxid } from '../support/replica-folder.ts';
import { repositoryRoot } from '../support/repository.ts';
import { lastProgress, startWriter } from '../support/start-writer.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { sleep, until } from '../support/wait.ts';
import type { CopyReaderOptions } from './copy-reader.ts';

const seed = seedOf();
const roundCount = Number(process.env['FOLLOW_ROUNDS'] ?? 40);
const lifeCount = Math.min(4, roundCount);
const program = tsProgram();
console.log(`follow: ${roundCount} rounds in ${lifeCount} lives, SEED=${seed}`);

class FollowLife {
  readonly random: Random;
  readonly #folder: string;
  readonly #database: string;
  readonly #replica: string;
  readonly #copy: string;
  readonly #readLog: string;
  readonly #children: { daemon?: Child; writer?: Child; follower?: Child; reader?: Child } = {};
  readonly #pageSize: number;
  followLog = '';

  constructor(folder: string, lifeSeed: number) {
    this.random = new Random(lifeSeed);
    this.#folder = folder;
    this.#database = join(folder, 'app.db');
    this.#replica = join(folder, 'replica');
    this.#copy = join(folder, 'copy.db');
    this.#readLog = join(folder, 'read.log');
    this.#pageSize = this.random.pick([512, 4096, 4096, 16384]);
  }

  async begin(): Promise<void> {
    const config = await writeConfig(join(this.#folder, 'litestream.yml'), {
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
    this.#children.writer = startWriter({
      database: this.#database,
      progress: join(this.#folder, 'progress'),
      seed: this.random.between(0, 2 ** 31),
      pageSize: this.#pageSize,
      autoVacuum: this.random.pick(['none', 'full', 'incremental']),
      delayMs: 15,
    });
    const daemon = program.replicate(config);
    this.#children.daemon = daemon;
    await until('a first file', async () => (await levelMaxTxid(this.#replica)) > 0n, {
      failed: () => (daemon.exit === undefined ? undefined : daemon.output),
    });
  }

  /** One follower's life, ended by kill -9 at a moment nobody chose. */
  async round(): Promise<void> {
    const { random } = this;
    this.#refuseEnded();
    const follower = this.#startFollower();
    if (!existsSync(this.#copy) && random.chance(0.5)) {
      // Killed while it restores: no half of a database may be left under the name.
      await sleep(random.between(50, 500));
      await follower.kill();
      if (existsSync(this.#copy)) await this.#startReader();
      return;
    }
    await until('the copy', () => existsSync(this.#copy), {
      failed: () => (follower.exit === undefined ? undefined : follower.output),
    });
    await this.#startReader();
    if (random.chance(0.7)) await this.#untilApplied(follower);
    await sleep(random.between(0, 400));
    this.#refuseEnded();
    await follower.kill();
    this.followLog += follower.output;
    const dice = random.next();
    // Nobody reads while nobody follows: the next to open the copy has to recover it.
    if (dice < 0.3) await this.#children.reader?.kill();
    // Away for long enough that its place in the history is gone.
    else if (dice < 0.4) await sleep(2500);
    this.#refuseEnded();
  }

  /** Everything ends in good order; then the copy is the source, page by page. */
  async end(): Promise<{ transactionCount: number; proofCount: number }> {
    const { writer, daemon } = this.#children;
    await writer?.stop({ early: true });
    await daemon?.stop();
    const newest = await levelMaxTxid(this.#replica);
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
    expect(follower.output).toContain('follow mode stopped');
    const restored = join(this.#folder, 'restored.db');
    await program.restore(this.#replica, restored);
    const copied = join(this.#folder, 'copied.db');
    expect(existsSync(`${this.#copy}-wal`)).toBe(false);
    await copyFile(this.#copy, copied);
    await assertSamePages(restored, copied, 'a restore and the copy');
    const { transactionCount } = verifyChain(copied);
    expect(transactionCount).toBe(await lastProgress(join(this.#folder, 'progress')));
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

describe(`a followed copy, killed at random moments, SEED=${seed}`, () => {
  test.each(Array.from({ length: lifeCount }, (_, index) => index))(
    'life %i',
    async (index) => {
      await using folder = await temporaryFolder('follow');
      await using life = new FollowLife(folder.path, seed + index);
      await life.begin();
      const rounds = Math.floor(((index + 1) * roundCount) / lifeCount) - Math.floor((index * roundCount) / lifeCount);
      for (let round = 1; round <= rounds; round += 1) {
        await life.round().catch((error: unknown) => {
          throw new Error(`round ${round}, SEED=${seed}`, { cause: error });
        });
      }
      const { transactionCount, proofCount } = await life.end();
      const rebaseCount = life.followLog.split('comparing the whole database').length - 1;
      console.log(
        `life ${index}: ${rounds} rounds, ${transactionCount} transactions, ${proofCount} proofs, ${rebaseCount} rebases`,
      );
      expect(proofCount).toBeGreaterThan(rounds);
    },
    300_000,
  );
});

/** A database, its replica in a folder, and restores of it with our command line. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyChain } from '../support/chain.ts';
import type { ChainState } from '../support/chain.ts';
import type { Child } from '../support/child.ts';
import { tsProgram, writeConfig } from '../support/programs.ts';
import type { DaemonConfig, Program, RestorePoint } from '../support/programs.ts';
import { seedOf } from '../support/random.ts';
import { levelMaxTxid } from '../support/replica-folder.ts';
import { lastProgress, startWriter } from '../support/start-writer.ts';
import type { WriterOptions } from '../support/writer.ts';
import { until } from '../support/wait.ts';

export const seed: number = seedOf();

export const program: Program = tsProgram();

let restoreCount = 0;

export class Place {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
  readonly meta: string;
  readonly progress: string;

  constructor(folder: string) {
    this.folder = folder;
    this.database = join(folder, 'app.db');
    this.replica = join(folder, 'replica');
    this.meta = join(folder, '.app.db-litestream');
    this.progress = join(folder, 'progress');
  }

  /** An application in a process of its own. */
  writer(options: Partial<WriterOptions> = {}): Child {
    return startWriter({ database: this.database, progress: this.progress, seed, ...options });
  }

  /** Transactions that the application has committed, at least. */
  committed(): Promise<number> {
    return lastProgress(this.progress);
  }

  /** `litestream replicate`, once its first file is on the replica. */
  async replicate(config: Partial<DaemonConfig> = {}): Promise<Child> {
    const daemon = await this.start(config);
    await until('the first file on the replica', async () => (await levelMaxTxid(this.replica)) > 0n, failing(daemon));
    return daemon;
  }

  async start(config: Partial<DaemonConfig> = {}): Promise<Child> {
    const { database, replica } = this;
    return program.replicate(await writeConfig(join(this.folder, 'litestream.yml'), { database, replica, ...config }));
  }

  /** Restores, and proves that this is the state after a transaction of the application. */
  async restored(point: RestorePoint & { readonly from?: string } = {}): Promise<ChainState> {
    const output = join(this.folder, `restored-${restoreCount++}.db`);
    await program.restore(point.from ?? this.replica, output, point);
    try {
      return verifyChain(output);
    } finally {
      await rm(output);
    }
  }
}

/** For `until`: fails at once when the process has ended. */
export function failing(child: Child): { readonly failed: () => string | undefined; readonly timeoutMs: number } {
  return { failed: () => (child.exit === undefined ? undefined : child.output), timeoutMs: 120_000 };
}

/** The log lines of this level. */
export function lines(log: string, level: 'WARN' | 'ERROR'): string[] {
  return log.split('\n').filter((line) => line.includes(`level=${level}`));
}

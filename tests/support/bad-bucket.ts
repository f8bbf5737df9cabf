/**
 * A database whose replica is a bucket that a test spoils: starts the command line as a user does, and holds it to what
 * counts, whatever the backend. No credential shows in anything it prints.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { Child } from './child.ts';
import { proxyLogin } from './forward-proxy.ts';
import type { ForwardProxy } from './forward-proxy.ts';
import { ourProgram } from './programs.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { until } from './wait.ts';

/** What a test changes about the config and the environment. */
export interface Changes {
  readonly replica?: Readonly<Record<string, unknown>>;
  readonly top?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface BadBucketOptions {
  /** Config of a replica that works, `type` and `path` included. */
  readonly replica: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** What must never be printed. */
  readonly secrets: readonly string[];
  /** How many files of level 0 are there. */
  readonly uploads: () => number | Promise<number>;
}

/** Settings under which files of level 0 and snapshots are deleted after a second. */
export const SHORT_RETENTION: Readonly<Record<string, unknown>> = {
  'l0-retention': '1s',
  'l0-retention-check-interval': '1s',
  levels: [{ interval: '1s' }],
  snapshot: { interval: '1s', retention: '1s' },
};

const PATIENCE_MS = 90_000;
/** Longer than the machine may pause a daemon that holds the write lock. */
const BUSY_MS = 60_000;
const COMPLAINT = /\blevel=(WARN|ERROR)\b/;

export class BadBucket implements AsyncDisposable {
  readonly database: string;
  readonly folder: string;
  readonly #options: BadBucketOptions;
  readonly #removal: AsyncDisposable;
  readonly #app: DatabaseSync;
  readonly #children: Child[] = [];

  static async open(options: BadBucketOptions): Promise<BadBucket> {
    return new BadBucket(options, await temporaryFolder('bad-input'));
  }

  private constructor(options: BadBucketOptions, folder: Awaited<ReturnType<typeof temporaryFolder>>) {
    this.#options = options;
    this.#removal = folder;
    this.folder = folder.path;
    this.database = join(folder.path, 'app.db');
    this.#app = new DatabaseSync(this.database, { timeout: BUSY_MS });
    this.#app.exec('PRAGMA journal_mode = WAL; CREATE TABLE notes (id INTEGER PRIMARY KEY, text)');
  }

  /** `litestream COMMAND -config … ARGUMENT …`, with as good as nothing in its environment. */
  async start(command: readonly string[], changes: Changes = {}): Promise<Child> {
    const config = await this.#writeConfig(changes);
    const bare = { PATH: process.env['PATH'], HOME: this.folder };
    const [name = '', ...rest] = command;
    const child = new Child(name, process.execPath, [ourProgram, name, '-config', config, ...rest], {
      env: { ...bare, ...this.#options.env, ...changes.env },
    });
    this.#children.push(child);
    return child;
  }

  /** What `litestream ltx` says of it, on its way out: one line, with the next step. */
  async refused(changes: Changes = {}): Promise<string> {
    const child = await this.start(['ltx', this.database], changes);
    const { code } = await child.exited;
    assert.equal(code, 1, child.output);
    const errors = child.stderr.split('\n').filter((line) => line.startsWith('Error:'));
    assert.equal(errors.length, 1, child.output);
    return child.stderr;
  }

  insert(text: string): void {
    this.#app.prepare('INSERT INTO notes (text) VALUES (?)').run(text);
  }

  /** Waits until a restored copy equals the source. */
  async level(changes: Changes = {}): Promise<void> {
    const rows = (from: DatabaseSync): unknown => from.prepare('SELECT * FROM notes ORDER BY id').all();
    const expected = JSON.stringify(rows(this.#app));
    let number = 0;
    await until(
      'a copy that equals the source',
      async () => {
        const output = join(this.folder, `copy-${number++}.db`);
        const child = await this.start(['restore', '-o', output, this.database], changes);
        const { code } = await child.exited;
        if (code !== 0) return false;
        using copy = new DatabaseSync(output, { readOnly: true });
        return JSON.stringify(rows(copy)) === expected;
      },
      { timeoutMs: PATIENCE_MS, intervalMs: 500 },
    );
  }

  /** Replicates, breaks it, waits for the word in the log, mends it, and expects the copy to be level again. */
  async breaksAndMends(
    breakIt: () => unknown,
    says: RegExp,
    mend: () => unknown,
    changes: Changes = {},
  ): Promise<void> {
    const daemon = await this.start(['replicate'], changes);
    this.insert('before');
    await until('the first file', async () => (await this.#options.uploads()) > 0, { failed: endOf(daemon) });
    await breakIt();
    this.insert('while broken');
    await this.said(daemon, says);
    await mend();
    this.insert('after');
    await this.level(changes);
    assert.equal(daemon.exit, undefined, daemon.output);
  }

  /**
   * Waits until a warning or an error of the log matches. Lines of lower levels do not count: they name the operation
   * (such as retention) before it is known whether it fails.
   *
   * @param meanwhile called again and again
   */
  async said(daemon: Child, says: RegExp, meanwhile: () => void = () => undefined): Promise<void> {
    const heard = (): boolean => {
      meanwhile();
      return daemon.output.split('\n').some((line) => COMPLAINT.test(line) && says.test(line));
    };
    const patience = { failed: endOf(daemon), timeoutMs: PATIENCE_MS, intervalMs: 100 };
    await until(`a warning or an error that matches ${String(says)}`, heard, patience).catch((error: unknown) => {
      throw new Error(daemon.output, { cause: error });
    });
  }

  /**
   * Replicates while nothing may be deleted: it goes on, the log says what is left, and once it is mended what was left
   * is deleted.
   */
  async keepsGoingWithoutDeletes(
    says: RegExp,
    objects: () => readonly string[] | Promise<readonly string[]>,
    mend: () => unknown,
  ): Promise<void> {
    const top = SHORT_RETENTION;
    const daemon = await this.start(['replicate'], { top });
    let number = 0;
    await this.said(daemon, says, () => this.insert(`row ${number++}`));
    await this.level({ top });
    const left = await objects();
    await mend();
    const isDeleted = async (): Promise<boolean> => {
      const there = new Set(await objects());
      return left.some((name) => !there.has(name));
    };
    await until('what was left to be deleted', isDeleted, { timeoutMs: PATIENCE_MS, failed: endOf(daemon) });
    await this.level({ top });
    assert.equal(daemon.exit, undefined, daemon.output);
  }

  /** Reaches the bucket through a proxy, logging in, and says what is missing where the proxy wants another login. */
  async usesProxy(proxy: ForwardProxy, password: string, changes: Changes = {}): Promise<void> {
    const through = { ...changes, env: proxy.env(password) };
    const child = await this.start(['ltx', this.database], through);
    assert.equal((await child.exited).code, 0, child.output);
    assert.equal(proxy.logins.at(-1), proxyLogin(password));
    proxy.wantsLogin = true;
    assert.match(await this.refused(through), /proxy wants a login.*HTTP_PROXY/);
  }

  async #writeConfig({ replica = {}, top = {} }: Changes): Promise<string> {
    const file = join(this.folder, 'litestream.yml');
    const settings = { ...this.#options.replica, 'sync-interval': '50ms', ...replica };
    await writeFile(
      file,
      JSON.stringify({ logging: { level: 'debug' }, ...top, dbs: [{ path: this.database, replica: settings }] }),
    );
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await Promise.all(this.#children.map((child) => child.kill()));
      for (const child of this.#children) {
        for (const secret of this.#options.secrets) {
          assert.ok(!child.output.includes(secret), `${secret} shows:\n${child.output}`);
        }
      }
    } finally {
      this.#app.close();
      await this.#removal[Symbol.asyncDispose]();
    }
  }
}

export function endOf(child: Child): () => string | undefined {
  return () => (child.exit === undefined ? undefined : child.output);
}

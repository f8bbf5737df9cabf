/** How replication runs in a life, and what it acknowledges: the command line beside the application, or the class in it. */
import { writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Child } from '../support/child.ts';
import { ourProgram, tsProgram } from '../support/programs.ts';
import type { Random } from '../support/random.ts';
import { repositoryRoot } from '../support/repository.ts';
import { lastProgress } from '../support/start-writer.ts';
import { pause } from '../support/wait.ts';
import type { Library } from './libraries.ts';
import type { ReplicatedAppOptions } from './replicated-app.ts';
import type { ReplicaSettings } from './store.ts';

/** What a database of a life needs to be replicated. */
export interface ReplicationParts {
  /** For configs, sockets and logs. */
  readonly folder: string;
  readonly database: string;
  readonly replica: ReplicaSettings;
  readonly random: Random;
  readonly pageSize: number;
  readonly autoVacuum: 'none' | 'full' | 'incremental';
  /** Pause of its application after each step; 0: full speed. */
  readonly delayMs: number;
  /** Log of the writer beside it: the number of each transaction whose COMMIT returned. */
  readonly progress: string;
  /** While this file exists, an application that replicates itself commits nothing. */
  readonly pauseFile: string;
}

export interface Acknowledged {
  /** How often something was acknowledged. */
  readonly count: number;
  /** Number of the last transaction that was acknowledged. */
  readonly txn: number;
}

export interface Replication {
  start(options?: Partial<ReplicatedAppOptions>): Child;
  acknowledged(): Promise<Acknowledged>;
  /** The source is on another timeline: what was acknowledged before does not count any more. The class must not run. */
  forget(): Promise<void>;
}

/** Short enough that many kills come right after an answer. Longer than an answer takes, or the daemon would do nothing else. */
const askIntervalMs = 150;

export const weatherFile = (folder: string): string => join(folder, 'weather.json');

/** For a process whose clock and disk the weather file of this folder controls. */
export function environmentOf(folder: string): NodeJS.ProcessEnv {
  const weather = pathToFileURL(join(repositoryRoot, 'tests', 'chaos', 'weather.ts')).href;
  return {
    ...process.env,
    NODE_OPTIONS: `--no-warnings --import=${weather}`,
    CHAOS_WEATHER: weatherFile(folder),
  };
}

/** `litestream replicate`, which a client of its control socket asks again and again: `sync -wait`. */
export class CommandLine implements Replication {
  readonly #parts: ReplicationParts;
  #starts = 0;
  /** Answers to requests from an earlier timeline of the source do not count. */
  #timeline = 0;
  #acknowledged: Acknowledged = { count: 0, txn: 0 };

  constructor(parts: ReplicationParts) {
    this.#parts = parts;
  }

  start({ lastSyncMs = 60_000 }: Partial<ReplicatedAppOptions> = {}): Child {
    const { folder, database, replica, random, delayMs } = this.#parts;
    const syncIntervals = delayMs === 0 ? ['10ms', '100ms', '300ms'] : ['300ms', '1s', '1s'];
    this.#starts += 1;
    const socket = join(folder, `socket-${this.#starts}`);
    const config = join(folder, `litestream-${this.#starts}.yml`);
    const settings = {
      socket: { enabled: true, path: socket },
      logging: { level: process.env['CHAOS_LOG_LEVEL'] ?? 'info' },
      levels: [{ interval: '1s' }, { interval: '3s' }],
      snapshot: { interval: random.pick(['2s', '24h']), retention: random.pick(['4s', '24h']) },
      'l0-retention': random.pick(['1s', '1s', '5m']),
      'l0-retention-check-interval': '1s',
      'shutdown-sync-interval': '100ms',
      'shutdown-timeout': `${lastSyncMs + 5000}ms`,
      'shutdown-sync-timeout': `${lastSyncMs}ms`,
      dbs: [
        {
          path: database,
          'monitor-interval': '50ms',
          'checkpoint-interval': random.pick(['200ms', '1m']),
          'min-checkpoint-page-count': random.pick([50, 300, 1000]),
          replica: { ...replica, 'sync-interval': random.pick(syncIntervals) },
        },
      ],
    };
    // YAML takes JSON.
    writeFileSync(config, JSON.stringify(settings, undefined, 2));
    const daemon = tsProgram(environmentOf(folder)).replicate(config);
    void this.#ask(daemon, socket);
    return daemon;
  }

  acknowledged(): Promise<Acknowledged> {
    return Promise.resolve(this.#acknowledged);
  }

  forget(): Promise<void> {
    this.#timeline += 1;
    this.#acknowledged = { count: this.#acknowledged.count, txn: 0 };
    return Promise.resolve();
  }

  async #ask(daemon: Child, socket: string): Promise<void> {
    while (daemon.exit === undefined) {
      const timeline = this.#timeline;
      const committed = await lastProgress(this.#parts.progress);
      if ((await syncWait(socket, this.#parts.database)) && timeline === this.#timeline) {
        const { count, txn } = this.#acknowledged;
        this.#acknowledged = { count: count + 1, txn: Math.max(txn, committed) };
      }
      await pause(askIntervalMs, 'the time between two requests');
    }
  }
}

/** Sends what `litestream sync -wait` sends, without a process of its own. Would the command exit with 0? */
async function syncWait(socketPath: string, path: string): Promise<boolean> {
  const body = JSON.stringify({ path, wait: true, timeout: 60 });
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const outgoing = request({ socketPath, path: '/sync', method: 'POST', headers, agent: false }, (response) => {
    response.resume().once('close', () => resolve(response.statusCode === 200));
  });
  // Not there yet, or killed meanwhile.
  outgoing.once('error', () => resolve(false));
  outgoing.end(body);
  return await promise;
}

/** An application that replicates itself, and acknowledges a commit once `replicated()` has resolved. */
export class InProcess implements Replication {
  readonly #parts: ReplicationParts;
  readonly #driver: Library;
  readonly #log: string;

  constructor(parts: ReplicationParts, driver: Library) {
    this.#parts = parts;
    this.#driver = driver;
    this.#log = join(parts.folder, 'acknowledged');
  }

  start(options: Partial<ReplicatedAppOptions> = {}): Child {
    const { folder, database, replica, random, pageSize, autoVacuum, pauseFile, delayMs } = this.#parts;
    const program = join(repositoryRoot, 'tests', 'chaos', 'replicated-app.ts');
    const whole: ReplicatedAppOptions = {
      database,
      replica,
      acknowledged: this.#log,
      seed: random.between(0, 2 ** 31),
      pageSize,
      autoVacuum,
      driver: this.#driver,
      pauseFile,
      delayMs,
      ...options,
    };
    return new Child('app', process.execPath, [program, JSON.stringify(whole)], { env: environmentOf(folder) });
  }

  async acknowledged(): Promise<Acknowledged> {
    const text = await readFile(this.#log, 'utf8').catch(() => '');
    return { count: text.split('\n').length - 1, txn: await lastProgress(this.#log) };
  }

  async forget(): Promise<void> {
    await rm(this.#log, { force: true });
  }
}

/** Runs one of our commands to its end, with the real clock and disk. */
export function runCommand(...args: string[]): Child {
  return new Child(`litestream ${args[0] ?? ''}`, process.execPath, [ourProgram, ...args]);
}

/** A database, its application and its replication; disturbances, and the proof after each of them. */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ChainWriter } from '../support/chain-writer.ts';
import { verifyChain } from '../support/chain.ts';
import type { ChainState } from '../support/chain.ts';
import type { Child } from '../support/child.ts';
import { tail } from '../support/child.ts';
import { assertSamePages } from '../support/pages.ts';
import { Random } from '../support/random.ts';
import { lastProgress, startWriter } from '../support/start-writer.ts';
import { pause, until } from '../support/wait.ts';
import type { Disturbance } from './disturbance.ts';
import { refuseLeaks } from './leaks.ts';
import type { LifeKind } from './life-kinds.ts';
import { proveByCommands, restoreProven, verifyWhole } from './proof.ts';
import type { ReplicatedAppOptions } from './replicated-app.ts';
import { CommandLine, InProcess, weatherFile } from './replication.ts';
import type { Acknowledged, Replication } from './replication.ts';
import { Shown } from './shown.ts';
import { openStore } from './store.ts';
import type { Store } from './store.ts';
import { openVolume } from './volume.ts';
import type { Volume } from './volume.ts';
import type { Weather } from './weather.ts';
import { removeFolder } from '../support/remove-folder.ts';

export interface Paths {
  readonly folder: string;
  readonly database: string;
  /** Local files of Litestream. */
  readonly metadata: string;
  /** Log of the writer: the number of each transaction whose COMMIT returned. */
  readonly progress: string;
  readonly logs: string;
}

export interface LifeOptions {
  /** The application commits as fast as it can, and Litestream syncs often. Default: 20 to 50 steps a second, as a busy server has. */
  readonly isAtFullSpeed?: boolean;
}

/** Milliseconds until something is acknowledged once nothing prevents it. Long, because a busy machine is slow. */
export const patienceMs = 180_000;

/** An upload, a snapshot and two compactions at most. */
const temporariesOfAKill = 4;

export class Life implements AsyncDisposable {
  readonly kind: LifeKind;
  readonly random: Random;
  readonly paths: Paths;
  readonly store: Store;
  readonly shown: Shown = new Shown();
  readonly pageSize: number;
  readonly autoVacuum: 'none' | 'full' | 'incremental';
  /** A small disk with the database; undefined if it is on the disk of everything else. */
  readonly volume: Volume | undefined;
  readonly replication: Replication;
  writer: Child | undefined;
  daemon: Child | undefined;
  restoreCount = 0;
  /** Another database was replicated to the same place for a while. */
  hadTwoWriters = false;
  /** The page ledger was lost, or may have been. */
  hadLostLedger = false;
  /** Pause of the writer after each step. */
  readonly #delayMs: number;
  readonly #pauseFile: string;
  /** Number of the last transaction of the source's timeline that a restore has to hold. */
  #promised = 0;
  /** Processes that a disturbance started. */
  readonly #others: Child[] = [];
  #logCount = 0;
  #killCount = 0;

  static async begin(folder: string, seed: number, kind: LifeKind, options: LifeOptions = {}): Promise<Life> {
    const random = new Random(seed);
    const store = await openStore(kind.store, folder, new Random(seed + 1));
    return new Life(folder, random, kind, store, options);
  }

  private constructor(folder: string, random: Random, kind: LifeKind, store: Store, options: LifeOptions) {
    this.random = random;
    this.kind = kind;
    this.store = store;
    const pageSize = random.pick([512, 1024, 4096, 4096, 16384, 65536]);
    // A WAL of 1000 pages, which SQLite allows, has to fit on the disk.
    this.pageSize = kind.isOnSmallDisk === true ? Math.min(pageSize, 4096) : pageSize;
    this.autoVacuum = random.pick(['none', 'full', 'incremental']);
    this.volume = kind.isOnSmallDisk === true ? openVolume(join(folder, 'volume')) : undefined;
    const pace = random.pick([20, 50]);
    this.#delayMs = options.isAtFullSpeed === true ? 0 : this.volume === undefined ? pace : 50;
    const database = join(this.volume?.path ?? folder, 'app.db');
    this.paths = {
      folder,
      database,
      metadata: join(dirname(database), '.app.db-litestream'),
      progress: join(folder, 'progress'),
      logs: join(folder, 'logs'),
    };
    mkdirSync(this.paths.logs);
    this.#pauseFile = join(folder, 'paused');
    const { autoVacuum, paths } = this;
    const delayMs = this.#delayMs;
    const pauseFile = this.#pauseFile;
    const parts = {
      ...paths,
      replica: store.settings,
      random,
      pageSize: this.pageSize,
      autoVacuum,
      delayMs,
      pauseFile,
    };
    this.replication = kind.driver === undefined ? new CommandLine(parts) : new InProcess(parts, kind.driver);
  }

  /** One round: everything runs, the disturbance acts, and the replica is proven. */
  async round(disturbance: Disturbance): Promise<void> {
    await this.revive();
    await disturbance.act(this);
    await this.prove();
    if (this.random.chance(0.15)) await this.settle();
  }

  /** The end: everything stops without an error; replica and database are equal, page by page. */
  async end(): Promise<void> {
    await this.revive();
    await this.settle();
    const copy = join(this.paths.folder, 'source.db');
    await this.copySource(copy);
    const restored = this.#nextOutput();
    const { database } = this.paths;
    await proveByCommands({ config: this.directConfig(), database, output: restored }, this);
    await assertSamePages(copy, restored, 'source and replica at the end');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.writer, this.daemon, ...this.#others]) {
      child?.signal('SIGCONT');
      await child?.kill();
    }
    await this.store[Symbol.asyncDispose]();
    this.volume?.[Symbol.dispose]();
  }

  /** Both run; throws if one of them ended by itself. */
  async revive(): Promise<void> {
    this.refuseEnded();
    const isNew = !existsSync(this.paths.database);
    if (this.daemon === undefined) {
      this.startDaemon();
      this.startWriter();
      // Mostly the disturbance acts while it runs; now and then while it starts.
      if (!isNew && this.random.chance(0.2)) return;
      const { count } = await this.replication.acknowledged();
      await this.#until('a first acknowledgement', async () => (await this.replication.acknowledged()).count > count);
    }
    this.startWriter();
  }

  refuseEnded(): void {
    for (const child of [this.writer, this.daemon]) {
      if (child?.exit === undefined) continue;
      throw new Error(
        `${child.name} ended by itself (${child.exit.code ?? child.exit.signal}):\n${tail(child.output)}`,
      );
    }
  }

  /** Lets everything run for a random time. */
  async work(lowMs: number, highMs: number): Promise<void> {
    await pause(this.random.between(lowMs, highMs), 'everything runs for a while');
  }

  startDaemon(options: Partial<ReplicatedAppOptions> = {}): Child {
    this.daemon ??= this.replication.start(options);
    return this.daemon;
  }

  startWriter(): void {
    rmSync(this.#pauseFile, { force: true });
    if (this.writer !== undefined) return;
    const { database, progress } = this.paths;
    const { pageSize, autoVacuum, random } = this;
    const seed = random.between(0, 2 ** 31);
    const calm = this.volume !== undefined;
    this.writer = startWriter({ database, progress, seed, pageSize, autoVacuum, delayMs: this.#delayMs, calm });
  }

  /** Nothing commits any more; an application that replicates itself goes on replicating. */
  async pauseWriting(): Promise<void> {
    writeFileSync(this.#pauseFile, '');
    await this.stopWriter();
    // What it had begun is acknowledged first.
    if (this.daemon !== undefined) await this.untilAcknowledged();
  }

  async stopWriter(): Promise<void> {
    const { writer } = this;
    await writer?.stop({ early: true });
    this.#keepLog(writer);
    this.writer = undefined;
  }

  async killWriter(): Promise<void> {
    await this.writer?.kill();
    this.#keepLog(this.writer);
    this.writer = undefined;
  }

  /** Returns the exit code; null if the signal ended it before it could listen. */
  async stopDaemon(): Promise<number | null> {
    const { daemon } = this;
    daemon?.signal('SIGTERM');
    const exit = await daemon?.exited;
    this.#keepLog(daemon);
    this.daemon = undefined;
    return exit?.code ?? null;
  }

  async killDaemon(): Promise<void> {
    if (this.daemon !== undefined) await this.kill(this.daemon);
    this.#keepLog(this.daemon);
    this.daemon = undefined;
  }

  /** A process of a disturbance ends with this life at the latest. */
  track(child: Child): Child {
    this.#others.push(child);
    return child;
  }

  /** Kills a process that replicates. */
  async kill(daemon: Child): Promise<void> {
    this.#killCount += 1;
    await daemon.kill();
  }

  /** Another process replicates the database from now on. */
  async replaceDaemon(next: Child): Promise<void> {
    await this.killDaemon();
    this.daemon = next;
  }

  /** Resolves once what was committed before the call is acknowledged, by an answer that was asked for after it. */
  async untilAcknowledged(): Promise<Acknowledged> {
    const before = await this.replication.acknowledged();
    const committed = await lastProgress(this.paths.progress);
    return await this.#until(`an acknowledgement of transaction ${committed}`, async () => {
      const now = await this.replication.acknowledged();
      // One may have been in progress.
      return now.count >= before.count + 2 && now.txn >= committed ? now : undefined;
    });
  }

  /** Waits for the process that replicates; fails with what it logged. */
  async #until<T>(what: string, condition: () => Promise<T | undefined | false>): Promise<T> {
    const { daemon } = this;
    const log = (): string => tail(daemon?.output ?? '', 15);
    const failed = (): string | undefined => (daemon?.exit === undefined ? undefined : 'it ended');
    return await until(what, condition, { timeoutMs: patienceMs, failed }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${log()}`, { cause: error });
    });
  }

  /** Resolves once a restore has all that is committed now. It may fail until then. */
  async untilWhole(): Promise<void> {
    const committed = await lastProgress(this.paths.progress);
    const output = join(this.paths.folder, 'whole.db');
    let said: unknown;
    await until(
      'a restore of all that is committed',
      async () => {
        await rm(output, { force: true });
        said = await restoreProven(this.store.direct, output, true).catch((error: unknown) => error);
        return said === undefined && verifyChain(output).transactionCount >= committed;
      },
      { timeoutMs: patienceMs, intervalMs: 300 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${String(said)}\n${tail(this.daemon?.output ?? '')}`, { cause: error });
    });
    await rm(output);
  }

  /** Resolves once the process that replicates has logged this, after the first `from` characters of its output. */
  async untilSaid(pattern: RegExp, from = 0): Promise<void> {
    const { daemon } = this;
    if (daemon === undefined) throw new Error('nothing runs');
    await until(`${String(pattern)} in the log`, () => pattern.test(daemon.output.slice(from)), {
      timeoutMs: patienceMs,
      failed: () => (daemon.exit === undefined ? undefined : `it ended:\n${tail(daemon.output)}`),
    });
  }

  setWeather(weather: Weather): void {
    writeFileSync(weatherFile(this.paths.folder), JSON.stringify(weather));
  }

  /** Restores the replica, and compares the result with everything acknowledged so far. */
  async prove(): Promise<ChainState> {
    const promised = Math.max(this.#promised, (await this.replication.acknowledged()).txn);
    const restored = await this.restore();
    const state = verifyChain(restored);
    await this.look();
    this.shown.assertShown(state);
    this.shown.assertHolds(restored, promised);
    // What could be restored once must stay restorable.
    this.#promised = Math.max(promised, this.shown.isOnTimeline(state) ? state.transactionCount : 0);
    await verifyWhole(this.store.direct, this.hadTwoWriters);
    if (this.daemon !== undefined) refuseLeaks(this.daemon.pid, this.paths.folder);
    await rm(restored);
    return state;
  }

  /** Reads what the source shows. */
  async look(): Promise<void> {
    this.shown.look(this.paths.database, await lastProgress(this.paths.progress));
  }

  /** Nothing runs any more, and all that was committed is on the replica. */
  async settle(): Promise<void> {
    await this.stopWriter();
    // If the signal kills it before it can handle signals, another process does its work.
    for (let code: number | null = null; code !== 0;) {
      if (this.daemon === undefined) {
        writeFileSync(this.#pauseFile, '');
        this.startDaemon();
        await this.untilAcknowledged();
      }
      const { daemon } = this;
      code = await this.stopDaemon();
      if (code !== 0 && code !== null) throw new Error(`it stopped with ${code}:\n${tail(daemon?.output ?? '')}`);
    }
    await this.look();
    this.#promised = this.shown.last;
    await this.prove();
    await this.#refuseLeftovers();
  }

  /**
   * The source was replaced by another state that it showed before: older acknowledgements do not count any more. Call it only
   * while nothing commits; the class must not run.
   */
  async replaced(): Promise<void> {
    this.shown.replaced(this.paths.database);
    writeFileSync(this.paths.progress, `${this.shown.last}\n`);
    await this.newBeginning();
  }

  /** What was acknowledged so far need not be in the newest state of the replica. The class must not run. */
  async newBeginning(): Promise<void> {
    this.#promised = 0;
    await this.replication.forget();
  }

  /** The newest state of the replica, proven by its checksum. */
  async restore(): Promise<string> {
    const output = this.#nextOutput();
    await restoreProven(this.store.direct, output, this.hadLostLedger);
    return output;
  }

  #nextOutput(): string {
    this.restoreCount += 1;
    return join(this.paths.folder, `restored-${this.restoreCount}.db`);
  }

  /** A config in which the replica is reached without faults. */
  directConfig(database = this.paths.database): string {
    const path = join(this.paths.folder, 'direct.yml');
    writeFileSync(path, JSON.stringify({ dbs: [{ path: database, replica: this.store.direct }] }));
    return path;
  }

  /** The database file alone, after its WAL went into it. Only while no other program has it open. */
  async copySource(output: string): Promise<void> {
    {
      using writer = new ChainWriter(this.paths.database, this.random);
      writer.checkpoint('TRUNCATE');
    }
    await copyFile(this.paths.database, output);
  }

  /** Keeps the folder of a life that failed. */
  keep(folder: string): void {
    for (const child of [this.writer, this.daemon, ...this.#others]) this.#keepLog(child);
    removeFolder(folder, { force: true });
    const filter = (path: string): boolean => !/\/socket-\d+$/.test(path);
    cpSync(this.paths.folder, folder, { recursive: true, verbatimSymlinks: true, filter });
  }

  /** After a stop without an error. What a killed process leaves on a replica is removed when it is an hour old. */
  async #refuseLeftovers(): Promise<void> {
    const { path: replica } = this.store.direct;
    const allowed = new Map([[this.paths.metadata, 0]]);
    if (this.store.kind === 'folder' && replica !== undefined)
      allowed.set(replica, temporariesOfAKill * this.#killCount);
    for (const [folder, countMax] of allowed) {
      const names = await readdir(folder, { recursive: true });
      const left = names.filter((name) => name.includes('.tmp'));
      if (left.length > countMax) throw new Error(`left in ${folder}: ${left.join(' ')}`);
    }
  }

  #keepLog(child: Child | undefined): void {
    if (child === undefined) return;
    this.#logCount += 1;
    writeFileSync(join(this.paths.logs, `${this.#logCount}-${child.name.replaceAll(' ', '-')}.log`), child.output);
  }
}

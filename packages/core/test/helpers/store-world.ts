/**
 * A database on real SQLite, followed, uploaded, compacted and pruned through a client that misbehaves, beside a model
 * of its history that knows nothing of LTX: what the application saw when each transaction was cut. One step at a time,
 * each drawn from a seed.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseLtxFilename } from '@litestream/ltx';
import type { LtxFileInfo, SqliteConnection } from '../../src/index.ts';
import { DB, FileClient, guardClient, hasCode, nodeSqlite, planRestore, Replica, restore } from '../../src/index.ts';
import { isLitestreamError, StoredReplica } from '../../src/index.ts';
import type { Clock } from '../../src/util/clock.ts';
import { LocalLevel0 } from '../../src/retention/local-level0.ts';
import { FaultClient, Seeded } from '../../src/testing/index.ts';
import type { LogLine } from './db-lab.ts';
import { SHORT_QUIET_MS, recordingLogger } from './db-lab.ts';
import { SwitchClient } from './switch-client.ts';
import { removeFolder } from '../../../../tests/support/remove-folder.ts';

/** Thousands of syncs to a shared disk would take the time of the whole suite; nothing here cuts the power. */
const memoryFolder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export const LEVELS = [1, 2, 3].map((level) => ({ level, intervalMs: 1 }));
const SNAPSHOT_RETENTION_MS = 60_000;
const LEVEL0_RETENTION_MS = 20_000;
/** Bytes of an LTX file without a page: header, end of the pages, empty index, trailer. */
const EMPTY_FILE_SIZE = 131;

export class World implements AsyncDisposable {
  readonly random: Seeded;
  readonly folder: string = mkdtempSync(join(memoryFolder, 'litestream-world-'));
  readonly path: string = join(this.folder, 'app.db');
  readonly log: LogLine[] = [];
  readonly steps: string[] = [];
  readonly app: SqliteConnection;
  /** Of the replica, without faults: what tests look through. */
  readonly clean: FileClient = new FileClient({ path: join(this.folder, 'replica') });
  readonly client: SwitchClient;
  readonly #stormy: FaultClient;
  readonly #clock: Clock;
  #nowMs = Date.UTC(2026, 0, 1);
  #elapsedMs = 0;
  db!: DB;
  replica!: Replica;
  stored!: StoredReplica;
  /** States the application left since the newest recorded transaction, oldest first. */
  #since: string[] = [];
  #recorded = 0n;
  /** What the database may have been at a TXID: one state, or for a cut between two syncs, those in between. */
  readonly #states = new Map<bigint, Set<string>>();
  readonly #claims = new Set<bigint>();
  /** Last TXID that was confirmed to be on the replica. */
  #confirmed = 0n;
  /** Files that a vandal changed, by path, as they are now. */
  readonly #spoilt = new Map<string, Buffer>();
  /** A vandal was here: what he took cannot be restored, and the rest only once a snapshot was taken since. */
  #damaged = false;
  everDamaged = false;
  /** Local files were lost: what was not uploaded by then is a gap, which a snapshot covers. */
  everLost = false;
  everOfOtherPageSize = false;
  restoreCount = 0;

  constructor(seed: number) {
    this.random = new Seeded(seed);
    const pageSize = this.pick([512, 1024, 4096]);
    writeFileSync(this.path, '');
    this.app = nodeSqlite.open(this.path);
    this.app.exec(`PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = ${this.pick([0, 1, 2])}`);
    this.app.get('PRAGMA journal_mode = wal');
    this.app.exec('PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)');
    this.#clock = {
      now: () => this.#nowMs,
      monotonic: () => this.#elapsedMs,
      schedule: (_delayMs, task) => {
        const timer = setTimeout(task, 0);
        return () => clearTimeout(timer);
      },
    };
    const faults = (['before', 'after', 'truncate', 'reset', 'stale'] as const).filter(() => this.chance(0.7));
    this.#stormy = new FaultClient(this.clean, { seed: seed + 1, rate: 0.25, faults: ['reset', ...faults] });
    this.client = new SwitchClient(this.clean);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.random.below(values.length)] as T;
  }

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  get isCalm(): boolean {
    return this.client.current === this.clean;
  }

  calm(): void {
    this.client.current = this.clean;
  }

  storm(): void {
    this.client.current = this.#stormy;
  }

  pass(durationMs: number): void {
    this.#nowMs += durationMs;
    this.#elapsedMs += durationMs;
  }

  /** Somebody sets the clock: back, or ahead. */
  setClock(): void {
    this.#nowMs += this.pick([-3_600_000, -1000, -1, 3000]) * (1 + this.random.below(3));
  }

  /** The process starts: nothing is known but what is in files. Opening must not be lied to about what there is. */
  async start(): Promise<void> {
    const { current, isDown, isMissing } = this.client;
    Object.assign(this.client, { current: this.clean, isDown: false, isMissing: () => false });
    const logger = recordingLogger(this.log);
    const guarded = guardClient(this.client, {
      clock: { ...this.#clock, now: Date.now, monotonic: () => performance.now() },
      random: () => 0,
    });
    this.db = new DB(this.path, {
      clock: this.#clock,
      logger,
      checkpointIntervalMs: this.pick([0, 5000]),
      minCheckpointPageN: this.pick([20, 1_000_000]),
      busyTimeoutMs: 50,
      arrivalQuietMs: SHORT_QUIET_MS,
    });
    this.replica = new Replica(guarded, this.db, { clock: this.#clock, logger });
    await this.db.open({ history: this.replica });
    this.stored = new StoredReplica(this.replica, {
      levels: LEVELS,
      snapshotIntervalMs: 30_000,
      snapshotRetentionMs: SNAPSHOT_RETENTION_MS,
      level0RetentionMs: LEVEL0_RETENTION_MS,
      retentionEnabled: true,
      verifyCompaction: this.chance(0.3),
      local: this.chance(0.8) ? new LocalLevel0(this.db.localLtx(0)).forReplica() : undefined,
      clock: this.#clock,
      logger,
    });
    this.replica.onUpload(() => this.stored.uploaded());
    this.#forgetLost();
    Object.assign(this.client, { current, isDown, isMissing });
    this.record();
  }

  /** Transactions that were cut, but lost before they reached the replica, are cut anew under the same numbers. */
  #forgetLost(): void {
    const { txid } = this.db.position;
    const lost: string[] = [];
    for (; this.#recorded > txid; this.#recorded -= 1n) {
      lost.unshift(...(this.#states.get(this.#recorded) ?? []));
      this.#states.delete(this.#recorded);
    }
    this.#since.unshift(...lost);
  }

  /** The process ends without a last upload. */
  async stop(): Promise<void> {
    await this.db.close();
    // Coming to rest takes what was committed into level 0.
    this.record();
  }

  /** One transaction of the application. */
  commit(): void {
    const { app } = this;
    app.exec('BEGIN IMMEDIATE');
    const dice = this.random.next();
    if (dice < 0.05) for (let i = 0; i < 60; i += 1) this.#insert(900);
    else if (dice < 0.1) app.exec('DELETE FROM t WHERE id % 3 <> 0');
    else
      for (let i = 1 + this.random.below(3); i > 0; i -= 1) {
        const change = this.pick(['insert', 'insert', 'update', 'delete']);
        if (change === 'insert') this.#insert(1 + this.random.below(1500));
        else if (change === 'delete') app.exec(`DELETE FROM t WHERE id % 11 = ${i}`);
        else app.exec(`UPDATE t SET v = randomblob(${this.random.below(900)}) WHERE id % 7 = ${i}`);
      }
    app.exec('COMMIT');
    if (this.chance(0.03)) app.exec(this.pick(['VACUUM', 'PRAGMA incremental_vacuum(5)']));
    this.#since.push(digest(app));
  }

  /** Only while nobody else has the database open. */
  changePageSize(): void {
    const { app } = this;
    this.everOfOtherPageSize = true;
    app.get('PRAGMA journal_mode = delete');
    app.exec(`PRAGMA page_size = ${this.pick([512, 1024, 4096, 8192])}; VACUUM`);
    app.get('PRAGMA journal_mode = wal');
    app.exec('PRAGMA wal_autocheckpoint = 0');
  }

  #insert(size: number): void {
    this.app.exec(`INSERT INTO t (v) VALUES (randomblob(${size}))`);
  }

  /** A level-0 file without a page takes a name that another writer could go on under: its state is that before it. */
  #noteClaims(): void {
    const folder = dirname(this.clean.localPath({ level: 0, minTxid: 1n, maxTxid: 1n }));
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder)) {
      const range = parseLtxFilename(name);
      if (range !== undefined && statSync(join(folder, name)).size === EMPTY_FILE_SIZE) this.#claims.add(range.maxTxid);
    }
  }

  /** Gives the transactions that were cut since the last call the states they may hold. */
  record(): void {
    this.#noteClaims();
    const now = digest(this.app);
    const { txid } = this.db.position;
    if (txid > this.#recorded) {
      for (let cut = this.#recorded + 1n; cut < txid; cut += 1n) {
        const last = this.#states.get(this.#recorded) ?? new Set<string>();
        this.#states.set(cut, new Set([...last, ...this.#since, now]));
      }
      this.#states.set(txid, new Set([now]));
      this.#recorded = txid;
      this.#since = [now];
    }
    const { txid: confirmed } = this.replica.position;
    if (confirmed > this.#confirmed) this.#confirmed = confirmed;
  }

  /** All files of the replica, as a listing without faults shows them. */
  async files(): Promise<LtxFileInfo[]> {
    const files: LtxFileInfo[] = [];
    for (let level = 0; level <= 9; level += 1) files.push(...(await Array.fromAsync(this.clean.ltxFiles(level))));
    return files;
  }

  /** Deletes or spoils one file of the replica. */
  async vandalise(): Promise<void> {
    const files = (await this.files()).filter(({ level }) => level < 9);
    if (files.length === 0) return;
    const file = this.pick(files);
    const path = this.clean.localPath(file);
    this.#damaged = true;
    this.everDamaged = true;
    if (this.chance(0.5)) rmSync(path);
    else {
      const bytes = readFileSync(path);
      const at = this.random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 + this.random.below(255));
      writeFileSync(path, bytes);
      this.#spoilt.set(path, bytes);
    }
    this.steps.push(`  ${path.slice(this.folder.length)}`);
  }

  /** A full check has run, and what it asked for was done. */
  mended(): void {
    this.#damaged = false;
  }

  get isDamaged(): boolean {
    return this.#damaged;
  }

  #isSpoilt(file: LtxFileInfo): boolean {
    const path = this.clean.localPath(file);
    const bytes = this.#spoilt.get(path);
    return bytes !== undefined && existsSync(path) && readFileSync(path).equals(bytes);
  }

  /** What was confirmed can be restored, and so can everything between the oldest kept snapshot and it. */
  checkPromises(files: readonly LtxFileInfo[]): void {
    const ends = restorableEnds(files);
    const newest = ends.at(-1) ?? 0n;
    if (this.#damaged) return;
    if (newest < this.#confirmed)
      throw new Error(`${this.#confirmed} was confirmed, ${newest} is the newest to restore`);
    if (this.everDamaged || this.everLost) return;
    const oldest = files.find(({ level }) => level === 9);
    if (oldest === undefined) return;
    const below = files.filter(({ level }) => level < 9);
    const reached = restorableEnds([...below, oldest]).at(-1) ?? 0n;
    for (const { level, maxTxid } of below) {
      if (maxTxid < oldest.maxTxid || ends.includes(maxTxid)) continue;
      throw new Error(`a file of level ${level} is kept, but its end ${maxTxid} cannot be restored`);
    }
    if (reached < this.#confirmed) throw new Error(`from the snapshot at ${oldest.maxTxid} only ${reached} is reached`);
  }

  /** Restores a kept boundary by its TXID and holds it against the model. */
  async checkTxid(txid: bigint): Promise<void> {
    const plan = await planRestore(this.clean, { txid });
    await this.#check(
      { txid },
      txid,
      plan.some((file) => this.#isSpoilt(file)),
    );
  }

  /** Time and transaction go together, whatever the clock did: later files have later times. */
  checkTimes(files: readonly LtxFileInfo[]): void {
    const sound = files.filter((file) => !this.#isSpoilt(file)).sort((a, b) => Number(a.maxTxid - b.maxTxid));
    for (const [index, file] of sound.entries()) {
      const before = sound[index - 1];
      if (before === undefined) continue;
      const isSame = before.maxTxid === file.maxTxid;
      if (isSame ? +before.timestamp === +file.timestamp : before.timestamp < file.timestamp) continue;
      const text = ({ level, maxTxid, timestamp }: LtxFileInfo): string =>
        `${maxTxid} at level ${level} (${timestamp.toISOString()})`;
      throw new Error(`times out of order: ${text(before)}, then ${text(file)}`);
    }
  }

  /** Restores at a kept file's time: what is promised is the furthest boundary that no later file is part of. */
  async checkTimestamp(files: readonly LtxFileInfo[], timestamp: Date): Promise<void> {
    const eligible = files.filter((file) => file.timestamp <= timestamp);
    const promised = restorableEnds(eligible).at(-1);
    const furthest = eligible.reduce((max, file) => (file.maxTxid > max ? file.maxTxid : max), 0n);
    // Files behind a gap: the product refuses rather than to leave them out silently.
    if (promised === undefined || promised < furthest) return;
    const plan = await planRestore(this.clean, { timestamp });
    if (plan.at(-1)?.maxTxid !== promised)
      throw new Error(`${timestamp.toISOString()}: planned ${plan.at(-1)?.maxTxid}`);
    await this.#check(
      { timestamp },
      promised,
      plan.some((file) => this.#isSpoilt(file)),
    );
  }

  async #check(target: { txid?: bigint; timestamp?: Date }, txid: bigint, isSpoilt: boolean): Promise<void> {
    const output = join(this.folder, 'restored.db');
    this.restoreCount += 1;
    // To replace a database takes a worker thread, which examines it.
    rmSync(output, { force: true });
    try {
      await restore(this.clean, { ...target, output });
    } catch (error) {
      if (isSpoilt && isLitestreamError(error)) return;
      throw error;
    }
    // Files of an older page size are not read where newer ones hold every page.
    if (isSpoilt && !this.everOfOtherPageSize)
      throw new Error(`TXID ${txid} was restored from a file that was changed`);
    const state = digestOf(output);
    let cut = txid;
    while (this.#claims.has(cut)) cut -= 1n;
    const allowed = this.#states.get(cut);
    if (allowed === undefined) throw new Error(`TXID ${txid} is on the replica, but was never cut`);
    if (!allowed.has(state)) throw new Error(`TXID ${txid} is not what the application saw`);
    // From now on this is what it is.
    this.#states.set(cut, new Set([state]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db.close();
    this.app.close();
    removeFolder(this.folder, { force: true });
  }
}

/** May an operation end like this while the backend misbehaves? */
export function isExcused(error: unknown, isCalm: boolean): boolean {
  if (hasCode(error, 'DATABASE_BUSY')) return true;
  if (isCalm || !isLitestreamError(error)) return false;
  return !['INTERNAL', 'INVALID_ARGUMENT', 'REPLICA_AHEAD'].includes(error.code);
}

interface Span {
  readonly minTxid: bigint;
  readonly maxTxid: bigint;
}

/** Every TXID at which a chain of whole files ends that begins at TXID 1, ascending. */
export function restorableEnds(files: readonly Span[]): bigint[] {
  const ends: bigint[] = [];
  const sorted = [...files].sort((a, b) => Number(a.maxTxid - b.maxTxid));
  for (const { minTxid, maxTxid } of sorted) {
    const before = ends.findLast((end) => end < maxTxid) ?? 0n;
    const continues = minTxid === 1n || (before > 0n && minTxid <= before + 1n);
    if (continues && ends.at(-1) !== maxTxid) ends.push(maxTxid);
  }
  return ends;
}

function digest(connection: SqliteConnection): string {
  const hash = createHash('sha256');
  for (const row of connection.all('SELECT id, v FROM t ORDER BY id')) {
    hash.update(`${String(row['id'])}|`).update(row['v'] as Uint8Array);
  }
  return hash.digest('hex');
}

function digestOf(path: string): string {
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  const connection = nodeSqlite.open(url.href, { readOnly: true });
  try {
    const verdict = connection.get('PRAGMA integrity_check')?.['integrity_check'];
    if (verdict !== 'ok') throw new Error(`integrity_check: ${String(verdict)}`);
    const table = connection.get("SELECT count(*) AS n FROM sqlite_schema WHERE name = 't'");
    return Number(table?.['n']) === 0 ? '' : digest(connection);
  } finally {
    connection.close();
  }
}

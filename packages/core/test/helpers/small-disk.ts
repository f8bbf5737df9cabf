/** A small file system of its own, which takes root to mount, with one database in it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DbOptions, SqliteConnection, SqliteDriver } from '../../src/index.ts';
import { DB, FileClient, restore } from '../../src/index.ts';
import { SHORT_QUIET_MS } from './db-lab.ts';
import { removeFolder } from '../../../../tests/support/remove-folder.ts';

export const MIB: number = 1024 ** 2;
const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)';

export const canMount: boolean = ((): boolean => {
  const folder = mkdtempSync(join(tmpdir(), 'litestream-mount-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status === 0;
  if (mounted) spawnSync('umount', ['-l', folder]);
  removeFolder(folder);
  if (!mounted) console.log('small disks: SKIPPED, this user may not mount one');
  return mounted;
})();

let serial = 0;

/** A file system of `size` MiB with one database in it, of some `databaseSize` MiB that cannot be compressed. */
export class SmallDisk implements AsyncDisposable {
  readonly root: string = mkdtempSync(join(tmpdir(), 'litestream-small-'));
  readonly volume: string = join(this.root, 'volume');
  /** A name of its own: small file systems number their files alike. */
  readonly path: string = join(this.volume, `app-${serial++}.db`);
  readonly replica: string = join(this.root, 'replica');
  readonly app: SqliteConnection;
  readonly #driver: SqliteDriver;
  readonly #open = new Set<DB>();

  constructor(driver: SqliteDriver, { size, databaseSize }: { size: number; databaseSize: number }) {
    this.#driver = driver;
    mkdirSync(this.volume);
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'tmpfs', this.volume]);
    if (status !== 0) throw new Error(String(stderr));
    writeFileSync(this.path, '');
    this.app = driver.open(this.path);
    this.app.get('PRAGMA journal_mode = wal');
    this.app.exec(TABLE);
    for (let i = 0; i < databaseSize; i++) {
      this.app.exec(`INSERT INTO t (payload) VALUES (randomblob(${MIB}))`);
      this.app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    }
  }

  db(options: DbOptions = {}): DB {
    const db = new DB(this.path, { driver: this.#driver, arrivalQuietMs: SHORT_QUIET_MS, ...options });
    this.#open.add(db);
    return db;
  }

  get free(): number {
    const { bavail, bsize } = statfsSync(this.volume);
    return bavail * bsize;
  }

  /** Takes all room but this. */
  fill(free: number): void {
    const size = Math.floor((this.free - free) / MIB);
    writeFileSync(join(this.volume, 'filler'), Buffer.alloc(size * MIB));
  }

  async restored(): Promise<string> {
    const output = join(this.root, 'restored.db');
    rmSync(output, { force: true });
    await restore(new FileClient({ path: this.replica }), { output });
    const copy = this.#driver.open(output);
    try {
      const verdict = copy.get('PRAGMA integrity_check')?.['integrity_check'];
      if (verdict !== 'ok') throw new Error(String(verdict));
      return JSON.stringify(copy.all(SUMMARY));
    } finally {
      copy.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const db of this.#open) await db.close();
    this.app.close();
    spawnSync('umount', ['-l', this.volume]);
    removeFolder(this.root, { force: true });
  }
}

export const SUMMARY = 'SELECT id, hex(substr(payload, 1, 20)) AS start FROM t ORDER BY id';

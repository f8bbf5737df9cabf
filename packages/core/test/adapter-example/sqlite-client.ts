import { DatabaseSync } from 'node:sqlite';

import { LitestreamError, parseLtxObjectName, ltxObjectName, txidText } from '@litestream/core';
import type { Body, LtxFileBody, LtxFileInfo, LtxFileRef, Op, ReplicaClient, TXID } from '@litestream/core';

const SCHEMA = `
  create table if not exists file (
    path text not null, level integer not null, name text not null,
    id text not null, size integer not null, time integer not null,
    primary key (path, level, name)
  ) without rowid;
  create table if not exists chunk (
    id text not null, at integer not null, bytes blob not null,
    primary key (id, at)
  ) without rowid;
`;

/** Keeps replicas in a SQLite database, in pieces, so that no file is ever held whole. */
export class SqliteClient implements ReplicaClient {
  readonly type = 'sqlite';
  readonly capabilities = { timestamps: 'listing', seekListing: true } as const;
  readonly #file: string;
  readonly #path: string;
  #database: DatabaseSync | undefined;

  constructor(file: string, path: string) {
    this.#file = file;
    this.#path = path;
  }

  async init({ signal }: Op = {}): Promise<void> {
    signal?.throwIfAborted();
    if (this.#database !== undefined) return;
    this.#database = new DatabaseSync(this.#file, { timeout: 5000 });
    this.#database.exec(`pragma journal_mode = wal; ${SCHEMA}`);
  }

  async *ltxFiles(level: number, { seek = 0n, signal }: { seek?: TXID } & Op = {}): AsyncIterable<LtxFileInfo> {
    // Page by page, each a query of its own: one that stays open would see rows that change meanwhile twice, or never.
    const page = this.#open.prepare(
      'select name, id, size, time from file where path = ? and level = ? and name > ? order by name limit 1000',
    );
    let last = txidText(seek);
    for (let rows = page.all(this.#path, level, last); rows.length > 0; rows = page.all(this.#path, level, last)) {
      for (const row of rows) {
        signal?.throwIfAborted();
        yield infoOf(level, row);
        last = String(row['name']);
      }
    }
    signal?.throwIfAborted();
  }

  async openLtxFile(
    file: LtxFileRef,
    { offset = 0, size = Infinity, signal }: { offset?: number; size?: number } & Op = {},
  ): Promise<LtxFileBody> {
    signal?.throwIfAborted();
    const row = this.#open
      .prepare('select name, id, size, time from file where path = ? and level = ? and name = ?')
      .get(this.#path, file.level, ltxObjectName(file));
    if (row === undefined) throw new LitestreamError('no such file', { code: 'NOT_FOUND' });
    const { size: whole, version } = infoOf(file.level, row);
    const body = this.#read(String(row['id']), offset, Math.min(offset + size, whole), signal);
    return Object.assign(body, { info: { size: whole, version } });
  }

  async *#read(id: string, start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    // The last piece that begins at or before the place where we are.
    const piece = this.#open.prepare('select at, bytes from chunk where id = ? and at <= ? order by at desc limit 1');
    for (let at = start; at < end;) {
      signal?.throwIfAborted();
      const row = piece.get(id, at);
      const bytes = row?.['bytes'] as Uint8Array | undefined;
      const part = bytes?.subarray(at - Number(row?.['at']), end - Number(row?.['at']));
      // A body that breaks off must throw: the file was replaced or deleted while it was read.
      if (part === undefined || part.length === 0) throw new LitestreamError('the file is gone', { code: 'NOT_FOUND' });
      at += part.length;
      yield part;
    }
  }

  async writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, { signal }: Op = {}): Promise<LtxFileInfo> {
    const id = crypto.randomUUID();
    const name = ltxObjectName(file);
    const insert = this.#open.prepare('insert into chunk (id, at, bytes) values (?, ?, ?)');
    try {
      signal?.throwIfAborted();
      let size = 0;
      for await (const chunk of body.open()) {
        signal?.throwIfAborted();
        if (chunk.byteLength > 0) insert.run(id, size, chunk);
        size += chunk.byteLength;
      }
      if (body.size !== undefined && body.size !== size) {
        throw new LitestreamError('the body is not as long as announced', { code: 'INVALID_ARGUMENT' });
      }
      // Until here nobody sees the pieces; one transaction shows them, and lets those of an older file go.
      this.#transaction(() => {
        this.#deleteFile(file);
        this.#open
          .prepare('insert into file (path, level, name, id, size, time) values (?, ?, ?, ?, ?, ?)')
          .run(this.#path, file.level, name, id, size, file.timestamp.getTime());
      });
      return infoOf(file.level, { name, id, size, time: file.timestamp.getTime() });
    } catch (error) {
      this.#open.prepare('delete from chunk where id = ?').run(id);
      throw error;
    }
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], { signal }: Op = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#transaction(() => files.forEach((file) => this.#deleteFile(file)));
  }

  async deleteAll({ signal }: Op = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#transaction(() => {
      this.#open.prepare('delete from chunk where id in (select id from file where path = ?)').run(this.#path);
      this.#open.prepare('delete from file where path = ?').run(this.#path);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database?.close();
    this.#database = undefined;
  }

  #deleteFile(file: LtxFileRef): void {
    const key = [this.#path, file.level, ltxObjectName(file)] as const;
    const where = 'path = ? and level = ? and name = ?';
    this.#open.prepare(`delete from chunk where id in (select id from file where ${where})`).run(...key);
    this.#open.prepare(`delete from file where ${where}`).run(...key);
  }

  #transaction(work: () => void): void {
    this.#open.exec('begin immediate');
    try {
      work();
      this.#open.exec('commit');
    } catch (error) {
      this.#open.exec('rollback');
      throw error;
    }
  }

  get #open(): DatabaseSync {
    if (this.#database === undefined) throw new LitestreamError('not initialised', { code: 'INTERNAL' });
    return this.#database;
  }
}

function infoOf(level: number, row: Record<string, unknown>): LtxFileInfo {
  const { minTxid = 0n, maxTxid = 0n } = parseLtxObjectName(String(row['name'])) ?? {};
  const version = String(row['id']);
  return { level, minTxid, maxTxid, size: Number(row['size']), timestamp: new Date(Number(row['time'])), version };
}

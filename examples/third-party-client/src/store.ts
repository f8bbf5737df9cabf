import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { BodyReader, LitestreamError, loadNodeSqlite } from '@litestream/core';
import type { Body } from '@litestream/core';

/**
 * Objects and their bytes are apart: pieces arrive one by one, and an object appears, by one row, when they are all
 * there. `upload` remembers pieces that no object names yet.
 */
const SCHEMA = `
  create table if not exists object (
    path text not null, key text not null, id text not null, size integer not null, time integer not null,
    primary key (path, key)
  ) without rowid;
  create table if not exists piece (
    id text not null, at integer not null, bytes blob not null,
    primary key (id, at)
  ) without rowid;
  create table if not exists upload (id text primary key, started integer not null) without rowid;
`;
/** Larger objects lie in several pieces, so that none is ever held whole. */
const PIECE_SIZE = 1 << 20;
/** A write takes as long as its body does; one this old was cut off by a crash. */
const UPLOAD_AGE_MS_MAX = 24 * 60 * 60 * 1000;
/** Rows of a listing fetched at a time. */
const PAGE_SIZE = 1000;
/** Free pages given back after a deletion: what takes a few milliseconds. */
const VACUUM_PAGE_COUNT = 1000;

export interface StoredObject {
  readonly key: string;
  /** Another one for each write: tells versions apart. */
  readonly id: string;
  readonly size: number;
  readonly time: Date;
}

/** What has to hold for a change: this version is there, or (null) none is. */
export type Condition = string | null | undefined;

/** Objects by key within paths, in a SQLite database. Every change is one transaction. */
export class Store {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Makes the database if there is none. */
  constructor(file: string) {
    // No transaction here spans an await, so waiting for the lock of another process is a matter of milliseconds.
    this.#database = new (loadNodeSqlite().DatabaseSync)(file, { timeout: 5000 });
    try {
      // `auto_vacuum` takes effect in a new database only. Fully synchronous: what is written must survive a power cut.
      this.#database.exec('pragma auto_vacuum = incremental; pragma journal_mode = wal; pragma synchronous = full');
      this.#transaction(() => {
        this.#database.exec(SCHEMA);
        const before = Date.now() - UPLOAD_AGE_MS_MAX;
        this.#sql('delete from piece where id in (select id from upload where started < ?)').run(before);
        this.#sql('delete from upload where started < ?').run(before);
      });
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Objects whose key begins with `prefix` and comes after `after`, by the UTF-8 bytes of their keys. */
  *list(path: string, prefix: string, after = ''): Generator<StoredObject> {
    // Page by page, each a query of its own: one that stays open would see rows that change meanwhile twice, or never.
    const page = this.#sql(
      `select key, id, size, time from object where path = ? and key > ? and key >= ? order by key limit ${PAGE_SIZE}`,
    );
    for (let last = after; ;) {
      const rows = page.all(path, last, prefix).map(objectOf);
      for (const object of rows) {
        if (!object.key.startsWith(prefix)) return;
        yield object;
        last = object.key;
      }
      if (rows.length < PAGE_SIZE) return;
    }
  }

  get(path: string, key: string): StoredObject {
    const row = this.#sql('select key, id, size, time from object where path = ? and key = ?').get(path, key);
    if (row === undefined) throw new LitestreamError(`no object ${key}`, { code: 'NOT_FOUND', object: key });
    return objectOf(row);
  }

  async *read({ id, size, key }: StoredObject, range: Range): AsyncGenerator<Uint8Array> {
    const { offset = 0, signal } = range;
    const end = Math.min(offset + (range.size ?? Infinity), size);
    // The last piece that begins at or before the place where we are.
    const piece = 'select at, bytes from piece where id = ? and at <= ? order by at desc limit 1';
    for (let at = offset; at < end;) {
      signal?.throwIfAborted();
      const row = this.#sql(piece).get(id, at);
      const bytes = row?.['bytes'] as Uint8Array | undefined;
      const part = bytes?.subarray(at - Number(row?.['at']), end - Number(row?.['at']));
      if (part === undefined || part.length === 0) {
        // A body that breaks off must throw: the object was replaced or deleted while it was read.
        throw new LitestreamError(`object ${key} is gone`, { code: 'NOT_FOUND', object: key });
      }
      at += part.length;
      yield part;
    }
    signal?.throwIfAborted();
  }

  async write(path: string, key: string, body: Body, { time, condition, signal }: WriteOptions): Promise<StoredObject> {
    const id = crypto.randomUUID();
    // Core's reader gives chunks that may be kept, and holds the body to the size it announced.
    const reader = new BodyReader(body, signal);
    let pending: Uint8Array[] = [];
    let at = 0;
    try {
      for await (const chunk of reader.chunks()) {
        pending.push(chunk);
        if (reader.size - at < PIECE_SIZE) continue;
        const isFirst = at === 0;
        this.#transaction(() => {
          if (isFirst) this.#sql('insert into upload (id, started) values (?, ?)').run(id, Date.now());
          this.#addPiece(id, at, pending);
        });
        [pending, at] = [[], reader.size];
      }
      signal?.throwIfAborted();
      // Until here nobody sees the pieces; one transaction shows them, and lets those of an older object go.
      this.#transaction(() => {
        this.#check(path, key, condition);
        this.#remove(path, key);
        if (pending.length > 0) this.#addPiece(id, at, pending);
        this.#sql('insert into object (path, key, id, size, time) values (?, ?, ?, ?, ?)').run(
          path,
          key,
          id,
          reader.size,
          time.getTime(),
        );
        this.#sql('delete from upload where id = ?').run(id);
      });
      return { key, id, size: reader.size, time };
    } catch (error) {
      if (at > 0) {
        this.#transaction(() => {
          this.#sql('delete from piece where id = ?').run(id);
          this.#sql('delete from upload where id = ?').run(id);
        });
      }
      throw error;
    }
  }

  /** Deletes these objects, all or none. Those that are gone are no error, but for a version that had to be there. */
  delete(path: string, keys: readonly string[], condition?: Condition): void {
    this.#transaction(() => {
      for (const key of keys) {
        if (condition !== undefined) this.get(path, key);
        this.#check(path, key, condition);
        this.#remove(path, key);
      }
    });
    this.#database.exec(`pragma incremental_vacuum(${VACUUM_PAGE_COUNT})`);
  }

  #check(path: string, key: string, condition: Condition): void {
    if (condition === undefined) return;
    const id = this.#sql('select id from object where path = ? and key = ?').get(path, key)?.['id'] ?? null;
    if (id === condition) return;
    const why = condition === null ? 'it exists' : 'it is not the version named';
    throw new LitestreamError(`object ${key} stays as it is: ${why}`, { code: 'PRECONDITION_FAILED', object: key });
  }

  #remove(path: string, key: string): void {
    const old = 'select id from object where path = ? and key = ?';
    this.#sql(`delete from piece where id in (${old})`).run(path, key);
    this.#sql('delete from object where path = ? and key = ?').run(path, key);
  }

  #addPiece(id: string, at: number, chunks: readonly Uint8Array[]): void {
    this.#sql('insert into piece (id, at, bytes) values (?, ?, ?)').run(id, at, Buffer.concat(chunks));
  }

  #transaction(work: () => void): void {
    this.#database.exec('begin immediate');
    try {
      work();
      this.#database.exec('commit');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    }
  }

  #sql(text: string): StatementSync {
    const known = this.#statements.get(text) ?? this.#database.prepare(text);
    this.#statements.set(text, known);
    return known;
  }
}

export interface Range {
  readonly offset?: number | undefined;
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions {
  readonly time: Date;
  readonly condition?: Condition;
  readonly signal?: AbortSignal | undefined;
}

function objectOf(row: Record<string, unknown>): StoredObject {
  const { key, id, size, time } = row;
  return { key: String(key), id: String(id), size: Number(size), time: new Date(Number(time)) };
}

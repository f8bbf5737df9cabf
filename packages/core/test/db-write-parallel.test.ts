/** Large files are made by several workers; nobody can tell by what they made. */
import { readFileSync, writeFileSync, openSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { newHeader } from '@litestream/ltx';
import { describe, expect, it } from 'vitest';
import { pause } from '../../../tests/support/wait.ts';
import { listAllPages } from '../src/pages/page-list.ts';
import { runBlocking } from '../src/util/cooperative.ts';
import { writeLtx } from '../src/local-ltx/writer/write-ltx.ts';
import type { LtxJob } from '../src/local-ltx/writer/write-ltx.ts';
import { shareJob, shareProgress, writePart } from '../src/local-ltx/writer/write-parallel.ts';
import { Lab } from './helpers/db-lab.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('parallel');

describe('a large file', () => {
  it.each([512, 4096, 65536])('is the same to the byte as one thread makes it, with pages of %i bytes', (pageSize) => {
    const commit = Math.ceil((5 << 20) / pageSize) + 3;
    const source = join(folder, `source-${pageSize}`);
    const bytes = Buffer.alloc(commit * pageSize);
    for (let at = 0; at < bytes.length; at += 7) bytes[at] = (at * 31) >> (at % 13);
    writeFileSync(source, bytes);
    const fd = openSync(source, 'r');
    try {
      const job = (name: string): LtxJob => ({
        header: newHeader({ pageSize, commit, minTxid: 1n, maxTxid: 1n, timestampMs: 5 }),
        source: { pageSize, databaseFd: fd, walFd: fd, salt1: 0, salt2: 0, saltsOffset: 0, endsAtLogEnd: true },
        list: listAllPages(pageSize, commit, new Map()),
        temporaryPath: join(folder, `${name}-${pageSize}`),
        ownership: { fileMode: 0o600, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      });
      const size = runBlocking(writeLtx(job('one')));
      const shared = shareJob(job('many'));
      writeFileSync(shared.temporaryPath, '');
      expect(writePart(shared, shareProgress(shared), true)).toBe(size);
      const [one, many] = [job('one'), shared].map(({ temporaryPath }) => readFileSync(temporaryPath));
      expect(Buffer.compare(one as Buffer, many as Buffer)).toBe(0);
    } finally {
      closeSync(fd);
    }
  });

  it('holds the whole database, although it is written to meanwhile', async () => {
    await using lab = new Lab();
    const app = lab.app(['PRAGMA synchronous = OFF']);
    app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)');
    const insert = (count: number): void =>
      app.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) ` +
          'INSERT INTO t (payload) SELECT randomblob(40) || zeroblob(60000) || randomblob(40) FROM n',
      );
    insert(1200);
    app.get('PRAGMA wal_checkpoint(TRUNCATE)');
    let written = 0;
    const write = (): void => {
      insert(1);
      written += 1;
    };
    // The first time before any page is read, whichever thread is the faster one.
    const db = lab.db({ onProgress: write });
    await db.open();
    const timer = setInterval(write, 5);
    await db.sync();
    clearInterval(timer);
    expect(written).toBeGreaterThan(0);
    const [first] = await lab.headers();
    expect((first?.commit ?? 0) * (first?.pageSize ?? 0)).toBeGreaterThan(64 << 20);
    await db.sync();
    await lab.verify();
    expect(lab.snapshots()).toEqual(['first sync']);
  });

  it('is left by nobody when its making is aborted', async () => {
    await using lab = new Lab();
    const app = lab.app(['PRAGMA synchronous = OFF']);
    app.exec('CREATE TABLE t (payload BLOB)');
    app.exec('INSERT INTO t VALUES (zeroblob(70000000))');
    const db = lab.db();
    await db.open();
    const abort = new AbortController();
    const work = db.sync({ signal: abort.signal });
    void pause(30, 'a moment in the midst of it, or behind its end').then(() => abort.abort(new Error('enough')));
    await work.catch((error: unknown) => expect(String(error)).toContain('enough'));
    expect(db.localLtx(0).list().length).toBe(Number(db.position.txid));
    await db.sync();
    await lab.verify();
  });
});

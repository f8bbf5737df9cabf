/**
 * What a server does in its life: replicates a database, makes a commit that workers take to the replica, restores it, and has
 * SQLite check the result. `npm run test:packages` bundles it with esbuild, webpack and Vite, and runs it in Next.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FileClient, Litestream, guardClient, restore } from '@litestream/core';

/** About 90 MB: several workers write a commit of this size. */
const ROW_COUNT = 1000;
const ROW_SIZE = 90_000;

export async function roundTrip() {
  const folder = await mkdtemp(join(tmpdir(), 'litestream-bundled-'));
  const path = join(folder, 'app.db');
  const replica = join(folder, 'replica');
  const app = new DatabaseSync(path, { timeout: 5000 });
  const litestream = new Litestream();
  try {
    app.exec('PRAGMA journal_mode = wal; CREATE TABLE files (id INTEGER PRIMARY KEY, content BLOB)');
    const database = await litestream.replicate(path, `file://${replica}`);
    app.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROW_COUNT})
       INSERT INTO files (content) SELECT randomblob(${ROW_SIZE}) FROM n`,
    );
    await database.replicated();
    const client = guardClient(new FileClient({ path: replica }));
    const output = join(folder, 'restored.db');
    const { proven } = await restore(client, { output, integrityCheck: 'full' });
    await restore(client, { output, overwrite: true, integrityCheck: 'quick' });
    return { proven, rowCount: countRows(output) };
  } finally {
    app.close();
    await litestream.stop();
    await rm(folder, { recursive: true });
  }
}

function countRows(path) {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database.prepare('SELECT count(*) AS n FROM files').get()?.['n'];
  } finally {
    database.close();
  }
}

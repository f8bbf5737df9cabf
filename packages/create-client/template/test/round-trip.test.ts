import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, it } from 'node:test';
import { Litestream } from '@litestream/core';
import { acmeStore } from '../src/plugin.ts';

const folder = mkdtempSync(join(tmpdir(), 'acme-store-'));
after(() => rmSync(folder, { recursive: true }));

void it('replicates a database and restores it', async () => {
  const replica = { type: 'acme-store', settings: { folder: join(folder, 'store'), path: 'app' } };
  const [source, copy] = [join(folder, 'app.db'), join(folder, 'copy.db')];
  const app = new DatabaseSync(source);
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)');

  const litestream = new Litestream({ plugins: [acmeStore()] });
  const database = await litestream.replicate(source, replica);
  app.exec('INSERT INTO t VALUES (4)');
  await database.replicated();
  await litestream.restore(replica, { output: copy });
  await litestream.stop();
  app.close();

  const restored = new DatabaseSync(copy);
  assert.equal(restored.prepare('SELECT count(*) AS n FROM t').get()?.['n'], 4);
  restored.close();
});

/** The store that compacts a replica does not report a gap that the replica has already reported. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { FileClient, Litestream, silentLogger } from '../src/index.ts';
import type { Logger } from '../src/index.ts';
import { until } from '../../../tests/support/wait.ts';
import { SwitchClient } from './helpers/switch-client.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const folder = temporaryFolder('gap-reported');

test('compaction does not report the gap of a replica that lagged behind when the local files were lost', async () => {
  const path = join(folder, 'app.db');
  const app = new DatabaseSync(path);
  onTestFinished(() => app.close());
  app.exec('PRAGMA journal_mode = wal; CREATE TABLE t (x)');
  const lagging = new SwitchClient(new FileClient({ path: join(folder, 'lagging') }));
  const leading = new SwitchClient(new FileClient({ path: join(folder, 'leading') }));
  const first = new Litestream({ store: false });
  const db = await first.replicate(path, [lagging, leading]);
  await db.replicated();
  lagging.isDown = true;
  for (let round = 0; round < 4; round++) {
    const before = db.status().replicas[1]?.position.txid ?? 0n;
    app.exec('INSERT INTO t VALUES (1)');
    await until('the other replica has it', () => (db.status().replicas[1]?.position.txid ?? 0n) > before);
  }
  await first.stop({ finalSync: false });
  removeFolder(join(folder, '.app.db-litestream'), { force: true });
  lagging.isDown = false;

  const warnings: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (message) => void warnings.push(message),
    child: () => logger,
  };
  const litestream = new Litestream({ logger, store: { levels: [{ level: 1, intervalMs: 50 }] } });
  onTestFinished(async () => await litestream.stop());
  const again = await litestream.replicate(path, [lagging, leading]);
  app.exec('INSERT INTO t VALUES (2)');
  await again.replicated();
  const end = again.position.txid.toString(16).padStart(16, '0');
  await until('the lagging replica is compacted', () => {
    const level = join(folder, 'lagging', 'ltx', '1');
    return existsSync(level) && readdirSync(level).some((name) => name.endsWith(`-${end}.ltx`));
  });
  expect(warnings.length).toBeGreaterThan(0);
  expect(warnings.filter((message) => message.startsWith('replica has a gap'))).toEqual([]);
});

import { DatabaseSync } from 'node:sqlite';
import { leaveUncounted } from '../../../packages/core/test/helpers/uncounted.ts';
import { rowHash } from '../../support/chain.ts';
import { needsCommandLine } from '../disturbance.ts';
import type { Disturbance } from '../disturbance.ts';

/**
 * A writer is killed when its last transaction is complete in the WAL, and before it is visible in the wal-index: readers never see
 * it. A restore must not have it either, whether the next writer overwrites it or no writer does.
 */
export const uncounted: Disturbance = {
  name: 'uncounted commit',
  // The class's application has a connection of its own open.
  lacks: needsCommandLine,
  async act(life) {
    await life.killWriter();
    leaveUncounted(life.paths.database, nextTransaction(life.paths.database));
    await life.work(0, 500);
    if (life.random.chance(0.5)) life.startWriter();
    await life.untilAcknowledged();
  },
};

/** A transaction that continues the chain, as SQL. */
function nextTransaction(path: string): string {
  using database = new DatabaseSync(path, { readOnly: true, timeout: 20_000 });
  const last = database.prepare('SELECT id, txn, hash FROM chain ORDER BY id DESC LIMIT 1').get();
  const [id, txn] = [Number(last?.['id'] ?? 0) + 1, Number(last?.['txn'] ?? 0) + 1];
  const payload = Buffer.from('never shown');
  const hash = rowHash((last?.['hash'] as Uint8Array | undefined) ?? new Uint8Array(), txn, payload);
  const hex = (bytes: Uint8Array): string => `x'${Buffer.from(bytes).toString('hex')}'`;
  return `INSERT INTO chain VALUES (${id}, ${txn}, 1, ${hex(payload)}, ${hex(hash)})`;
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Disturbance } from '../disturbance.ts';
import { removeFolder } from '../../support/remove-folder.ts';

/** The local files are deleted, or the page ledger is damaged, while Litestream runs or is stopped. */
export const lostMetadata: Disturbance = {
  name: 'lost metadata',
  async act(life) {
    const { random, paths } = life;
    await life.work(0, 500);
    life.hadLostLedger = true;
    if (random.chance(0.5)) await Promise.all([life.killDaemon(), random.chance(0.5) ? life.killWriter() : undefined]);
    const ledger = join(paths.metadata, 'ledger');
    if (life.daemon === undefined && random.chance(0.5) && existsSync(ledger)) {
      const bytes = readFileSync(ledger);
      for (let i = 0; i < 8; i += 1) bytes[random.between(0, bytes.length - 1)] = random.between(0, 255);
      writeFileSync(ledger, bytes);
    } else removeFolder(paths.metadata, { force: true });
    await life.revive();
    await life.untilAcknowledged();
  },
};

/** One round of each disturbance that takes little time, so that `npm run chaos` works when it is needed. */
import { describe, expect, test } from 'vitest';
import { seedOf } from '../support/random.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { disturbances } from './disturbances/index.ts';
import { lifeKind } from './life-kinds.ts';
import { Life } from './life.ts';

const seed = seedOf();

describe(`disturbed, SEED=${seed}`, () => {
  test.each([
    ['command-folder', ['uncounted commit', 'lost metadata']],
    ['command-bucket', ['bad network', 'clean stop']],
    ['better-folder', ['bad disk', 'failed stop']],
  ])(
    'a life of the kind %s holds: %j',
    async (kind, names) => {
      await using folder = await temporaryFolder('chaos');
      await using life = await Life.begin(folder.path, seed, lifeKind(kind));
      for (const name of names) {
        const disturbance = disturbances.find((each) => each.name === name);
        expect(disturbance?.lacks?.(life), name).toBeUndefined();
        if (disturbance === undefined) throw new Error(`no disturbance "${name}"`);
        await life.round(disturbance).catch((error: unknown) => {
          throw new Error(`${name}, SEED=${seed}`, { cause: error });
        });
      }
      await life.end();
      expect(life.shown.last).toBeGreaterThan(0);
      expect(life.restoreCount).toBeGreaterThan(names.length);
    },
    600_000,
  );
});

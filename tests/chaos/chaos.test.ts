/**
 * kill -9 of the writer, of Litestream, of both, at random times. `CHAOS_ROUNDS` sets how many rounds (default 20; CI: 50),
 * `SEED` repeats a run: the choices are the same, their times differ a little. `npm run chaos` has more disturbances.
 */
import { describe, expect, test } from 'vitest';
import { seedOf } from '../support/random.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { kill } from './disturbances/kill.ts';
import { lifeKind } from './life-kinds.ts';
import { Life } from './life.ts';

const seed = seedOf();
const roundCount = Number(process.env['CHAOS_ROUNDS'] ?? 20);
const roundsOfALife = 10;
const roundTimeoutMs = 100_000;
console.log(`chaos: ${roundCount} rounds, SEED=${seed}`);

/** Three in five lives run the command line, two the class, with either library. */
const kinds = ['command-folder', 'command-folder', 'command-folder', 'class-folder', 'better-folder'] as const;

const lives = Array.from({ length: Math.max(2, Math.ceil(roundCount / roundsOfALife)) }, (_, index) => {
  const count = Math.max(2, Math.ceil(roundCount / roundsOfALife));
  const kind = index === count - 1 ? 'class-folder' : (kinds[index % kinds.length] ?? 'class-folder');
  return { index, kind, rounds: share(index, count) };
});

function share(index: number, count: number): number {
  return Math.floor(((index + 1) * roundCount) / count) - Math.floor((index * roundCount) / count);
}

describe(`killed at random moments, SEED=${seed}`, () => {
  test.each(lives)(
    'life $index: $kind, $rounds rounds',
    async ({ index, kind, rounds }) => {
      await using folder = await temporaryFolder('chaos');
      await using life = await Life.begin(folder.path, seed + index, lifeKind(kind), { isAtFullSpeed: true });
      for (let round = 1; round <= rounds; round += 1) {
        await life.round(kill).catch((error: unknown) => {
          throw new Error(`round ${round}, SEED=${seed}, ${life.pageSize}-byte pages`, { cause: error });
        });
      }
      await life.end();
      const { restoreCount, shown } = life;
      console.log(`life ${index} (${kind}): ${rounds} rounds, ${shown.last} transactions, ${restoreCount} restores`);
      expect(shown.last).toBeGreaterThan(0);
      expect(restoreCount).toBeGreaterThan(rounds);
    },
    roundTimeoutMs * (roundsOfALife + 2),
  );
});

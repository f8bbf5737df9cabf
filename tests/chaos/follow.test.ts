/**
 * `litestream restore -f` killed with kill -9 at random moments, while others read the copy and prove every state they
 * see. `FOLLOW_ROUNDS` sets how many rounds (default 12; CI: 24), `SEED` repeats a run's choices.
 */
import { describe, expect, test } from 'vitest';
import { seedOf } from '../support/random.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { FollowLife } from './follow-life.ts';

const seed = seedOf();
const roundCount = Number(process.env['FOLLOW_ROUNDS'] ?? 12);
const lifeCount = Math.min(4, roundCount);
console.log(`follow: ${roundCount} rounds in ${lifeCount} lives, SEED=${seed}`);

describe(`a followed copy, killed at random moments, SEED=${seed}`, () => {
  test.each(Array.from({ length: lifeCount }, (_, index) => index))(
    'life %i',
    async (index) => {
      await using folder = await temporaryFolder('follow');
      await using life = new FollowLife(folder.path, seed + index);
      await life.begin();
      const rounds = Math.floor(((index + 1) * roundCount) / lifeCount) - Math.floor((index * roundCount) / lifeCount);
      for (let round = 1; round <= rounds; round += 1) {
        await life.round().catch((error: unknown) => {
          throw new Error(`round ${round}, SEED=${seed}`, { cause: error });
        });
      }
      const { transactionCount, proofCount } = await life.end();
      const rebaseCount = life.followLog.split('comparing the whole database').length - 1;
      console.log(
        `life ${index}: ${rounds} rounds, ${transactionCount} transactions, ${proofCount} proofs, ${rebaseCount} rebases, ${life.pageSizeChangeCount} page sizes`,
      );
      // A life may be killed in its first restore again and again; the end is always proven.
      expect(proofCount).toBeGreaterThan(0);
    },
    1_000_000,
  );
});

/**
 * kill -9 of the writer, of Litestream, of both, at random moments. `CHAOS_ROUNDS` sets how many rounds (default 20; CI: 50),
 * `SEED` repeats a run: the choices are the same, the moments are as near as a machine gets.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import { writeConfig } from '../support/programs.ts';
import { seedOf } from '../support/random.ts';
import { repositoryRoot } from '../support/repository.ts';
import { lastProgress } from '../support/start-writer.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { Life } from './life.ts';
import type { Replication } from './life.ts';
import type { ReplicatedAppOptions } from './replicated-app.ts';

const seed = seedOf();
const roundCount = Number(process.env['CHAOS_ROUNDS'] ?? 20);
const roundsOfALife = 10;
const roundTimeoutMs = 100_000;
console.log(`chaos: ${roundCount} rounds, SEED=${seed}`);

/** Rounds of each life; three in five lives run the command line, two the class. */
const lives = Array.from({ length: Math.max(2, Math.ceil(roundCount / roundsOfALife)) }, (_, index) => {
  const count = Math.max(2, Math.ceil(roundCount / roundsOfALife));
  return { index, kind: index % 5 < 3 && index !== count - 1 ? 'command line' : 'class', rounds: share(index, count) };
});

function share(index: number, count: number): number {
  return Math.floor(((index + 1) * roundCount) / count) - Math.floor((index * roundCount) / count);
}

/** `litestream replicate`: promises nothing while it runs, everything committed once it has ended by itself. */
function commandLine(life: Life): Replication {
  const { database, replica, folder } = life.paths;
  return {
    async start() {
      const { random } = life;
      const config = await writeConfig(join(folder, 'litestream.yml'), {
        database,
        replica,
        levels: ['1s', '3s'],
        snapshotInterval: random.pick(['2s', '24h']),
        l0Retention: random.pick(['1s', '5m']),
        monitorInterval: '50ms',
        syncInterval: random.pick(['10ms', '100ms', '300ms']),
        checkpointInterval: random.pick(['200ms', '1m']),
        minCheckpointPageCount: random.pick([50, 300, 1000]),
      });
      return life.program.replicate(config);
    },
    acknowledged: () => Promise.resolve(0),
  };
}

/** An application that replicates itself and acknowledges what `replicated()` promised. */
function inProcess(life: Life): Replication {
  const { database, replica, folder } = life.paths;
  const acknowledged = join(folder, 'acknowledged');
  const program = join(repositoryRoot, 'tests', 'chaos', 'replicated-app.ts');
  return {
    start() {
      const { pageSize, autoVacuum, random } = life;
      const appSeed = random.between(0, 2 ** 31);
      const options: ReplicatedAppOptions = { database, replica, acknowledged, seed: appSeed, pageSize, autoVacuum };
      return Promise.resolve(new Child('app', process.execPath, ['--no-warnings', program, JSON.stringify(options)]));
    },
    acknowledged: () => lastProgress(acknowledged),
  };
}

describe(`killed at random moments, SEED=${seed}`, () => {
  test.each(lives)(
    'life $index: $kind, $rounds rounds',
    async ({ index, kind, rounds }) => {
      await using folder = await temporaryFolder('chaos');
      await using life = new Life(folder.path, seed + index, kind === 'class' ? inProcess : commandLine);
      for (let round = 1; round <= rounds; round += 1) {
        await life.round().catch((error: unknown) => {
          throw new Error(`round ${round}, SEED=${seed}, ${life.pageSize}-byte pages`, { cause: error });
        });
      }
      const { transactionCount, restoreCount } = await life.end();
      console.log(
        `life ${index} (${kind}): ${rounds} rounds, ${transactionCount} transactions, ${restoreCount} restores`,
      );
      expect(transactionCount).toBeGreaterThan(0);
      expect(restoreCount).toBeGreaterThan(rounds);
    },
    roundTimeoutMs * (roundsOfALife + 2),
  );
});

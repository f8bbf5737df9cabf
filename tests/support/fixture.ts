/** What a checked-in replica folder promises: `expected.json` beside it. */
import { cp, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChainState } from './chain.ts';
import type { DatabasePages } from './pages.ts';
import { restoreTimes } from './replica-folder.ts';
import { fixturesFolder } from './repository.ts';

/** One database content, as the Go program restored it. */
export interface FixtureState extends DatabasePages {
  readonly chain: ChainState;
}

/** A restore the Go program was asked for; without `state` it refused. */
export interface FixturePoint {
  /** Hex, 16 digits. */
  readonly txid?: string;
  /** RFC 3339. */
  readonly timestamp?: string;
  /** Index into `states`. */
  readonly state?: number;
}

export interface FixtureFile {
  readonly level: number;
  readonly name: string;
  readonly size: number;
  readonly timestampMs: number;
}

export interface FixtureExpectation {
  readonly description: string;
  readonly version: string;
  readonly pageSize: number;
  /** Every file of the replica. */
  readonly files: readonly FixtureFile[];
  /** Contents met, in no order that matters. */
  readonly states: readonly FixtureState[];
  /** Index into `states`: the newest content, equal to the source database page by page when it was made. */
  readonly newest: number;
  readonly points: readonly FixturePoint[];
}

export interface Fixture {
  readonly name: string;
  readonly expected: FixtureExpectation;
}

/** All fixtures, by name. */
export async function loadFixtures(): Promise<Fixture[]> {
  const names = (await readdir(fixturesFolder, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  return Promise.all(
    names
      .map((entry) => entry.name)
      .sort()
      .map(async (name) => {
        const text = await readFile(join(fixturesFolder, name, 'expected.json'), 'utf8');
        return { name, expected: JSON.parse(text) as FixtureExpectation };
      }),
  );
}

/** Copies a fixture's replica to where a test may write, and gives its files the times they had when made. */
export async function copyFixtureReplica(name: string, target: string): Promise<void> {
  await cp(join(fixturesFolder, name, 'replica'), target, { recursive: true });
  await restoreTimes(target);
}

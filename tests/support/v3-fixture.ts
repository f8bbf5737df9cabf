/** Replica folders written by Litestream v0.3.13, checked in, and what 0.5.17 (Go) restores from them. */
import { cp, readFile, readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { FixtureState } from './fixture.ts';
import { repositoryRoot } from './repository.ts';

export const v3FixturesFolder: string = join(repositoryRoot, 'tests', 'fixtures', 'litestream-0.3.13');

export interface V3FixtureFile {
  /** Under the replica's folder, with forward slashes. */
  readonly path: string;
  readonly size: number;
  /** When it was uploaded: both programs go by the file's modification time, which git does not keep. */
  readonly timeMs: number;
}

export interface V3FixturePoint {
  /** RFC 3339; none means the newest state. */
  readonly timestamp?: string;
  /** Index into `states`; without it 0.5.17 refused. */
  readonly state?: number;
}

export interface V3FixtureExpectation {
  readonly description: string;
  readonly files: readonly V3FixtureFile[];
  readonly states: readonly FixtureState[];
  readonly points: readonly V3FixturePoint[];
}

export interface V3Fixture {
  readonly name: string;
  readonly expected: V3FixtureExpectation;
}

export async function loadV3Fixtures(): Promise<V3Fixture[]> {
  const names = (await readdir(v3FixturesFolder)).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(v3FixturesFolder, name, 'expected.json'), 'utf8');
      return { name, expected: JSON.parse(text) as V3FixtureExpectation };
    }),
  );
}

/** Copies a fixture's replica to where a test may write, with the times its files had. */
export async function copyV3Fixture({ name, expected }: V3Fixture, target: string): Promise<void> {
  await cp(join(v3FixturesFolder, name, 'replica'), target, { recursive: true });
  for (const { path, timeMs } of expected.files) {
    const time = new Date(timeMs);
    await utimes(join(target, path), time, time);
  }
}

/** All files of a replica folder, with their times to the millisecond, which they are set to. */
export async function filesWithTimes(replica: string): Promise<V3FixtureFile[]> {
  const files: V3FixtureFile[] = [];
  for (const entry of await readdir(replica, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const full = join(entry.parentPath, entry.name);
    const { size, mtimeMs } = await stat(full);
    const timeMs = Math.floor(mtimeMs);
    await utimes(full, new Date(timeMs), new Date(timeMs));
    files.push({ path: full.slice(replica.length + 1).replaceAll('\\', '/'), size, timeMs });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

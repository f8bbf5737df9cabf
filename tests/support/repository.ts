import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root folder of this repository. */
export const repositoryRoot: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Folder of replicas made by the Go program, checked in. */
export const fixturesFolder: string = join(repositoryRoot, 'tests', 'fixtures', 'go-0.5.17');

/** A folder under `.cache`, which git ignores: things that cost time to fetch or make. Created if it is not there. */
export async function cacheFolder(...names: string[]): Promise<string> {
  const folder = join(repositoryRoot, '.cache', ...names);
  await mkdir(folder, { recursive: true });
  return folder;
}

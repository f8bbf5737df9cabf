/**
 * The order of the test files of a run over all packages: the longest files begin first, regardless of their package. So no long
 * file runs alone at the end, and files that wait run beside files that compute.
 */
import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';
import { repositoryRoot } from '../support/repository.ts';

/** Seconds, by path from the root of the repository. A file that is not here is taken to be short. */
type Durations = Readonly<Record<string, number>>;

export const durationsPath: string = join(repositoryRoot, 'tests', 'order', 'durations.json');

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const durations = JSON.parse(readFileSync(durationsPath, 'utf8')) as Durations;
    const secondsOf = ({ moduleId }: TestSpecification): number => durations[nameOf(moduleId)] ?? 0;
    return (await super.sort(files)).sort((a, b) => secondsOf(b) - secondsOf(a));
  }
}

export function nameOf(path: string): string {
  return relative(repositoryRoot, path).split(sep).join('/');
}

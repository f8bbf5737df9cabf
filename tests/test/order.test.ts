/** The order of the files of `npm test`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { TestSpecification, Vitest } from 'vitest/node';
import { LongestFirst, durationsPath, nameOf } from '../order/longest-first.ts';
import { repositoryRoot } from '../support/repository.ts';

const durations = JSON.parse(readFileSync(durationsPath, 'utf8')) as Record<string, number>;

function specificationOf(name: string): TestSpecification {
  const project = { name: name.split('/')[1], config: { isolate: true, sequence: { groupOrder: 0 } } };
  return { moduleId: join(repositoryRoot, name), project } as unknown as TestSpecification;
}

test('the longest files begin first, regardless of their package', async () => {
  const context = { cache: { getTestSpecificationResult: () => undefined } } as unknown as Vitest;
  const known = Object.keys(durations);
  const names = [...known, 'packages/a/test/new.test.ts', 'packages/z/test/new.test.ts'];
  const sorted = await new LongestFirst(context).sort([...names].sort().map(specificationOf));
  const seconds = sorted.map(({ moduleId }) => durations[nameOf(moduleId)] ?? 0);
  expect(seconds).toEqual([...Object.values(durations), 0, 0].sort((a, b) => b - a));
  expect(new Set(sorted.slice(0, 20).map(({ project }) => project.name)).size).toBeGreaterThan(2);
});

test('every file with a duration exists', () => {
  expect(Object.keys(durations).filter((name) => !existsSync(join(repositoryRoot, name)))).toEqual([]);
});

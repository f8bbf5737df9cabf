/** docs/reports/public-reports.md names tests: each of them exists, and each test of a report is on the page. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.ts';

const page = readFileSync(join(repositoryRoot, 'docs', 'reports', 'public-reports.md'), 'utf8');
const rows = [...page.matchAll(/^\| (#\d+) \|.*\| `([^`]+)` \| (.+?) \|$/gm)].map(([, report, file, name]) => ({
  report,
  file: file ?? '',
  name: name ?? '',
}));

test('docs/reports/public-reports.md and tests/reports name the same tests', () => {
  const files = globSync('tests/reports/*.test.ts', { cwd: repositoryRoot }).sort();
  const inFiles = files.flatMap((file) =>
    [...readFileSync(join(repositoryRoot, file), 'utf8').matchAll(/'(#\d+): (.+)',/g)].map(([, report, rest]) => ({
      report,
      file,
      name: `${report ?? ''}: ${rest ?? ''}`,
    })),
  );
  const sorted = (all: typeof rows): string[] => all.map((row) => JSON.stringify(row)).sort();
  expect(sorted(rows)).toEqual(sorted(inFiles));
  expect(page.split('\n').filter((line) => line.startsWith('| #'))).toHaveLength(rows.length);
  expect(rows.length).toBeGreaterThan(7);
});

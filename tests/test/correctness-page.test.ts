/** docs/reports/correctness.md names tests: they are there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.ts';

const page = readFileSync(join(repositoryRoot, 'docs', 'reports', 'correctness.md'), 'utf8');
const rows = [...page.matchAll(/^\| (?<scenario>.+?) \| `(?<file>[^`]+)` \| (?<name>.+?) \|$/gm)].map(
  ({ groups }) => groups as { scenario: string; file: string; name: string },
);

/** A file's text as its strings mean it. */
function textOf(file: string): string {
  return readFileSync(join(repositoryRoot, file), 'utf8').replaceAll(String.raw`\'`, "'");
}

describe('docs/reports/correctness.md', () => {
  test('has a row in each line of its tables', () => {
    const lines = page.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| Scenario'));
    expect(rows).toHaveLength(lines.length);
    expect(rows.length).toBeGreaterThan(70);
  });

  test.each(rows)('$scenario', ({ file, name }) => {
    expect(existsSync(join(repositoryRoot, file)), file).toBe(true);
    // The first argument of a test, whole, or a part of one that is put together.
    const whole = name.replaceAll(/[$()*+./?[\\\]^{|}]/g, String.raw`\$&`);
    const quoted = new RegExp(`(?:\\(|name: |^\\s+)(?:'${whole}'|"${whole}"|\`[^\`]*${whole}[^\`]*\`),`, 'm').test(
      textOf(file),
    );
    expect(quoted, `${file} has no test "${name}": it has to be the whole name`).toBe(true);
  });
});

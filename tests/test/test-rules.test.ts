/** The rules that tests themselves have to keep (docs/decisions/0025-tests.md). */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { vitestProgram } from '../stress/test-files.ts';
import { Child } from '../support/child.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import base from '../../vitest.base.ts';

test(
  'a unit test that starts a process or a server, or computes for seconds, fails',
  { timeout: 180_000 },
  async () => {
    const cwd = join(repositoryRoot, 'tests', 'unit', 'fixture');
    await using folder = await temporaryFolder('unit');
    const report = join(folder.path, 'report.json');
    const args = [vitestProgram, 'run', '--reporter=json', `--outputFile=${report}`];
    await using run = new Child('vitest', process.execPath, args, { cwd });
    expect((await run.exited).code, run.output).toBe(1);
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
      testResults: {
        message: string;
        assertionResults: { title: string; status: string; failureMessages: string[] }[];
      }[];
    };
    const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
    const failures = tests.filter(({ status }) => status === 'failed');
    expect(failures.map(({ title }) => title).sort()).toEqual([
      'starts a process',
      'starts a process and waits for it',
      'starts a server',
    ]);
    for (const { failureMessages } of failures) expect(failureMessages.join()).toContain('take its file out of');
    const messages = testResults.map(({ message }) => message).join('\n');
    expect(messages).toMatch(/a unit test file computes for \d+ ms/);
  },
);

test('an exception from the rule on timers says why', () => {
  const silent = testFiles().filter((file) => {
    const lines = readFileSync(join(repositoryRoot, file), 'utf8').split('\n');
    return lines.some((line) => /ox?lint-disable.*no-restricted-(globals|imports)(?!.* -- \w)/.test(line));
  });
  expect(silent).toEqual([]);
});

test('no test has a shorter timeout than the default, because a busy machine is slow', () => {
  const { testTimeout = 0 } = base.test ?? {};
  expect(testTimeout).toBeGreaterThan(0);
  const limits = [
    /\b(?:describe|test|it)\b.*\{ timeout: (?<ms>[\d_]+)/g,
    // On lines of their own: behind the name of the test, and behind its body.
    /['`],\n\s*\{ timeout: (?<ms>[\d_]+)[^\n]*\},\n/g,
    /^\s*\}, (?<ms>[\d_]{4,})\);$/gm,
    /\bvi\.setConfig\([^;]*?\btestTimeout: (?<ms>[\d_]+)/g,
    /\bvi\.setConfig\([^;]*?\bhookTimeout: (?<ms>[\d_]+)/g,
  ];
  const found = testFiles().flatMap((file) => {
    const text = readFileSync(join(repositoryRoot, file), 'utf8');
    const times = limits.flatMap((limit) => [...text.matchAll(limit)].map(({ groups }) => groups?.['ms'] ?? ''));
    return times.filter((ms) => Number(ms.replaceAll('_', '')) < testTimeout).map((ms) => `${file}: ${ms}`);
  });
  expect(found).toEqual([]);
});

test('no test counts the names in a folder: a file that is being written has another name, or for a moment two', () => {
  const found = testFiles().filter((file) => {
    const text = readFileSync(join(repositoryRoot, file), 'utf8');
    return /readdirSync\((?!['"`]\/proc)[^;]*?\)\.length/.test(text);
  });
  expect(found).toEqual([]);
});

test('no test removes a folder with rmSync, which leaves a part of it where a process works in it: removeFolder does not', () => {
  const found = filesOf('{packages/*/test,tests}/**/*.ts').filter(
    (file) =>
      file !== 'tests/support/remove-folder.ts' &&
      /rmSync\([^;]*recursive/.test(readFileSync(join(repositoryRoot, file), 'utf8')),
  );
  expect(found).toEqual([]);
});

test('no test waits with a default of vitest, which is a second', () => {
  const found = testFiles().filter((file) => {
    const text = readFileSync(join(repositoryRoot, file), 'utf8');
    const waits = text.match(/\b(?:expect\.poll|vi\.waitFor|vi\.waitUntil)\([^;]*;/g) ?? [];
    return waits.some((wait) => !wait.includes('timeout: '));
  });
  expect(found).toEqual([]);
});

test('no server of a test closes idle connections, on which its client sends the next request: httpServer does not', () => {
  const found = filesOf('{packages/*/test,tests}/**/*.ts').filter((file) => {
    const text = readFileSync(join(repositoryRoot, file), 'utf8');
    return !file.includes('/fixture/') && /import \{[^}]*\bcreateServer\b[^}]*\} from 'node:http'/.test(text);
  });
  // The program in stray-errors ends after one answer.
  expect(found.toSorted()).toEqual(['packages/cli/test/stray-errors.test.ts', 'tests/support/http-server.ts']);
});

test('no test waits for a field of a log line alone: a line from before, or of other work, may have the same one', () => {
  const found = testFiles().filter((file) =>
    /\.said\(\s*['"`/](?!msg=|level=)[\w-]+=/.test(readFileSync(join(repositoryRoot, file), 'utf8')),
  );
  expect(found).toEqual([]);
});

test('no test compares the last lines of a log with those of snapshots and compactions in between: linesInOrder has none', () => {
  const found = testFiles().filter((file) =>
    /withoutTimes\([^;]*\)\.slice\(-/.test(readFileSync(join(repositoryRoot, file), 'utf8')),
  );
  expect(found).toEqual([]);
});

function testFiles(): string[] {
  return filesOf('{packages/*,tests}/**/*.test.ts');
}

function filesOf(pattern: string): string[] {
  const files = globSync(pattern, {
    cwd: repositoryRoot,
    exclude: (name) => name === 'node_modules' || name === 'dist',
  });
  expect(files.length).toBeGreaterThan(100);
  return files;
}

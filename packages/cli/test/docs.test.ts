/** Command lines in documents and deployment files are commands that exist, with flags that exist. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { COMMANDS } from '../src/commands/table.ts';
import { parseFlags } from '../src/flags/parse.ts';
import { shellWords } from '../src/text/shell-words.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

function files(): string[] {
  const packages = readdirSync(join(root, 'packages')).map((name) => `packages/${name}/README.md`);
  const folders = ['docs', 'deploy'].flatMap((folder) =>
    readdirSync(join(root, folder), { encoding: 'utf8', recursive: true }).map((name) => join(folder, name)),
  );
  return ['README.md', ...folders, ...packages].filter((path) => {
    return !path.endsWith('.png') && statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true;
  });
}

interface Line {
  readonly place: string;
  readonly words: readonly string[];
}

/** In code: what a person would type, whatever stands before it. */
function commandLines(): Line[] {
  return files().flatMap((path) => {
    return readFileSync(join(root, path), 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        const found = /^(?: {4,}| *- run: |ExecStart=\S+ |\$ )(?:npx @litestream\/cli|litestream) ([a-z].*)$/.exec(
          line,
        );
        if (found === null) return [];
        const text = (found[1] ?? '').replace(/ +#.*$/, '').replace(/ [>|&].*$/, '');
        return [{ place: `${path}:${index + 1}`, words: shellWords(text) ?? [] }];
      });
  });
}

test.each(commandLines().map(({ place, words }) => [place, words.join(' '), words] as const))(
  '%s: litestream %s',
  async (_, __, words) => {
    const [name = '', ...rest] = words;
    const entry = COMMANDS.find((each) => each.name === name);
    expect(entry, `unknown command ${name}`).toBeDefined();
    const command = (await entry?.load())?.command;
    if (command !== undefined) parseFlags(`litestream ${name}`, command.flags, rest);
  },
);

test('there are such lines', () => {
  expect(commandLines().length).toBeGreaterThan(8);
});

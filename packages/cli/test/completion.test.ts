import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { SHELLS } from '../src/commands/completion-script.ts';
import { COMMANDS } from '../src/commands/table.ts';
import { completedCommands } from '../src/commands/completed-commands.ts';
import { run } from './support/cli.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'completion-'));
afterAll(() => removeFolder(folder));
const installed = SHELLS.filter((shell) => spawnSync(shell, ['-c', 'true']).status === 0);

const scripts = new Map<string, Promise<string>>();

/** The script in a file, made by the real command. */
function script(shell: string): Promise<string> {
  const made = scripts.get(shell) ?? makeScript(shell);
  scripts.set(shell, made);
  return made;
}

async function makeScript(shell: string): Promise<string> {
  const result = await run(['completion', shell]);
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  const path = join(folder, `litestream.${shell}`);
  writeFileSync(path, result.stdout);
  return path;
}

function ask(shell: string, program: string): string[] {
  const { stdout, stderr, status } = spawnSync(shell, ['-c', program], { cwd: folder, encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout.split('\n').filter((line) => line !== '');
}

describe.runIf(installed.includes('bash'))('bash', () => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const quoted = ['litestream', ...words].map((word) => `'${word}'`).join(' ');
    return ask(
      'bash',
      `source ${await script('bash')}; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _litestream; printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
  };

  test('commands', async () => {
    expect(await complete('re')).toEqual(expect.arrayContaining(['replicate', 'reset', 'restore']));
    expect(await complete('wal')).toEqual([]);
  });

  test('flags, files, and nothing where a value of another kind is meant', async () => {
    writeFileSync(join(folder, 'some file.db'), '');
    expect(await complete('restore', '-inte')).toEqual(['-integrity-check']);
    expect(await complete('replicate', '-config', 'some')).toEqual(['some file.db']);
    expect(await complete('restore', '-txid', '')).toEqual([]);
    expect(await complete('restore', '-integrity-check', '')).toEqual(['none', 'quick', 'full']);
    expect(await complete('replicate', '-log-level', 'w')).toEqual(['warn']);
    expect(await complete('completion', 'z')).toEqual(['zsh']);
    expect(await complete('help', 'rest')).toEqual(['restore']);
  });

  test('every flag of every command', async () => {
    for (const { name, flags } of await completedCommands(COMMANDS)) {
      if (flags.length === 0) continue;
      expect(await complete(name, '-')).toEqual([...flags.map((flag) => flag.name), '-h']);
    }
  });
});

describe.runIf(installed.includes('fish'))('fish', () => {
  test('commands and flags', async () => {
    const path = await script('fish');
    const complete = (line: string): string[] =>
      ask('fish', `source ${path}; complete -C '${line}'`).map((each) => each.split('\t')[0] ?? '');
    expect(complete('litestream re')).toEqual(expect.arrayContaining(['replicate', 'reset', 'restore']));
    expect(complete('litestream restore -inte')).toContain('-integrity-check');
    expect(complete('litestream completion ')).toEqual(['bash', 'fish', 'zsh']);
    expect(complete('litestream restore -integrity-check ')).toEqual(['full', 'none', 'quick']);
  });
});

describe.runIf(installed.includes('zsh'))('zsh', () => {
  test('the script loads, and gives each command its flags', async () => {
    const path = await script('zsh');
    const stubs = 'compdef() { :; }; _arguments() { print -rl -- "$@"; }; _describe() { print -rl -- ${(P)2}; }';
    const complete = (words: string, current: number): string[] =>
      ask('zsh', `${stubs}; source ${path}; words=(${words}); CURRENT=${current}; _litestream`);
    expect(complete('litestream re', 2)).toContain('restore:recovers database backup from a replica');
    const specs = complete('litestream restore -', 3);
    expect(specs.find((spec) => spec.startsWith('*-integrity-check['))).toMatch(/:value:\(none quick full\)$/);
  });
});

test('bash is there, so that not all of this is passed over', () => {
  expect(installed).toContain('bash');
});

test.each([
  [[], 'Error: shell required: bash, zsh or fish\nTry: litestream completion bash\n'],
  [['csh'], 'Error: unknown shell "csh": use bash, zsh or fish\nTry: litestream completion bash\n'],
])('completion %j is refused', async (args, stderr) => {
  expect(await run(['completion', ...args])).toEqual({ exitCode: 1, stdout: '', stderr });
});

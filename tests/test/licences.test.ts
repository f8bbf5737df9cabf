/** `npm run licences`: which expressions of the lock file it accepts. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function check(licences: readonly unknown[]): Promise<{ readonly status: number | null; refused: string[] }> {
  const packages = Object.fromEntries(licences.map((license, at) => [`node_modules/p${at}`, { license }]));
  await using folder = await temporaryFolder('licences');
  const lock = join(folder.path, 'package-lock.json');
  writeFileSync(lock, JSON.stringify({ packages }));
  const script = join(repositoryRoot, 'scripts', 'licences.ts');
  const { status, stderr } = spawnSync(process.execPath, [script, lock], { encoding: 'utf8' });
  const names = [...stderr.matchAll(/^.*: (p\d+(?:, p\d+)*)$/gm)].flatMap(([, list = '']) => list.split(', '));
  return { status, refused: names.map((name) => String(licences[Number(name.slice(1))])) };
}

test('accepts expressions that accepted licences satisfy, and refuses every other text', async () => {
  const fine = [
    'MIT',
    '(MIT)',
    'MIT OR GPL-3.0-only',
    '(MIT OR GPL-3.0-only) AND ISC',
    'GPL-3.0-only AND ISC OR MIT',
    'Apache-2.0 WITH LLVM-exception',
    ['MIT', 'GPL-2.0'].map((type) => ({ type })),
  ];
  const refused = [
    '(MIT OR ISC) AND GPL-3.0',
    'GPL-3.0 AND (MIT OR ISC)',
    '(MIT OR ISC) AND (GPL-3.0 OR AGPL-3.0)',
    'MIT AND GPL-3.0-only',
    '(MIT AND GPL-3.0-only) OR LGPL-3.0-only',
    'GPL-2.0-only WITH Classpath-exception-2.0',
    'MIT OR',
    'MIT, GPL-3.0',
    'SEE LICENSE IN MIT',
    'UNLICENSED',
    '',
  ];
  expect(await check(fine)).toEqual({ status: 0, refused: [] });
  const result = await check([...refused, undefined]);
  expect(result.status).toBe(1);
  expect(result.refused.sort()).toEqual([...refused, 'undefined'].sort());
});

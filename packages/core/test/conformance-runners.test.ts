/** The suite on every test runner people use. vitest runs it on the file and memory clients themselves. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const folder = fileURLToPath(new URL('./runners/', import.meta.url));
const bin = (path: string): string => fileURLToPath(import.meta.resolve(path));

const RUNNERS: Record<string, readonly string[]> = {
  'node:test': ['--test', '--test-reporter=tap', `${folder}node.mjs`],
  mocha: [bin('mocha/bin/mocha.js'), '--no-config', '--timeout', '180000', `${folder}globals.mjs`],
  jest: [
    '--experimental-vm-modules',
    '--no-warnings',
    bin('jest/bin/jest'),
    '--config',
    JSON.stringify({ testEnvironment: 'node', transform: {}, testMatch: ['**/globals.mjs'], testTimeout: 180_000 }),
    '--rootDir',
    folder,
    '--runInBand',
    '--no-cache',
    '--watchman=false',
  ],
};

async function run(
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number | null; text: string }> {
  // node:test reports to a parent of its own kind if it thinks that it has one.
  const { NODE_TEST_CONTEXT: _, VITEST: __, ...rest } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...rest, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  return { code, text };
}

describe.each(Object.entries(RUNNERS))('conformance under %s', (_, args) => {
  it('passes a sound client, and counts', async () => {
    const { code, text } = await run(args, {});
    expect(text).toMatch(/memory: 148 of \d+ conformance cases ran, 0 failed/);
    expect(code).toBe(0);
  });

  it('fails a broken one', async () => {
    const { code, text } = await run(args, { PROOF_BREAK: '1' });
    expect(text).toContain('deleteAll deletes the files of every level');
    expect(text).toMatch(/conformance cases ran, [1-9]\d* failed/);
    expect(code).not.toBe(0);
  });
});

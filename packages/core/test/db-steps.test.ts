/** Work in steps that fails in the middle: what it opened is closed, and what it wrote is removed. */
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { publishDurably } from '../src/local-ltx/publish.ts';
import { durable, runBlocking, runCooperatively } from '../src/util/cooperative.ts';
import type { Steps } from '../src/util/cooperative.ts';
import { failWith, interceptFs } from './helpers/intercept-fs.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'litestream-steps-'));
  onTestFinished(() => removeFolder(folder));
  return folder;
}

function* written(path: string): Steps<void> {
  const fd = openSync(path, 'wx');
  try {
    yield durable(-1);
  } finally {
    closeSync(fd);
    rmSync(path);
  }
}

describe('a step that fails', () => {
  it.each([
    ['at once', async (steps: Steps<void>) => await Promise.resolve().then(() => runBlocking(steps))],
    ['at leisure', async (steps: Steps<void>) => await runCooperatively(steps)],
  ])('%s: the work cleans up after itself', async (_, run) => {
    const path = join(scratch(), 'file');
    await expect(run(written(path))).rejects.toThrow('fd');
    expect(existsSync(path)).toBe(false);
  });

  it('behind the write barrier: a file whose name may not be durable does not keep it', () => {
    const folder = scratch();
    const [from, to] = [join(folder, 'file.tmp'), join(folder, 'file')];
    writeFileSync(from, 'content');
    using _ = interceptFs('fsyncSync', () => failWith('EIO'));
    expect(() => runBlocking(publishDurably(from, to))).toThrow('EIO');
    expect(existsSync(to)).toBe(false);
  });
});

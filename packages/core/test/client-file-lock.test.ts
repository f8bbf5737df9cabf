/** The lock among processes that replacing an object takes, where its holder stands still for longer than anybody waits. */
import { readdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { FileClient } from '../src/storage/file/file-client.ts';
import { isErrno } from '../src/storage/file/file-durability.ts';
import { withFileLock } from '../src/storage/file/file-lock.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('file-lock');
afterEach(() => void vi.useRealTimers());

/**
 * Makes a lock look as if its holder was suspended for a minute. If the machine suspended this test meanwhile, the process that waits
 * for the lock has removed it already.
 */
async function age(subject: string): Promise<void> {
  const thenSeconds = Date.now() / 1000 - 60;
  await utimes(`${subject}.lock~`, thenSeconds, thenSeconds).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}

/** Holds the lock until told otherwise. Resolves once it has it. */
async function hold(subject: string): Promise<{ check: () => Promise<void>; end: () => Promise<void> }> {
  const end = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<() => Promise<void>>();
  const done = withFileLock(subject, async (check) => {
    begun.resolve(check);
    await end.promise;
  });
  done.catch(begun.reject);
  return {
    check: await begun.promise,
    end: async () => {
      end.resolve();
      await done;
    },
  };
}

it('a holder whose lock was taken over is told so before it changes anything, and leaves the lock of the other', async () => {
  const subject = join(root, 'lease.json');
  const first = await hold(subject);
  await first.check();
  await age(subject);
  const second = await hold(subject);
  await expect(first.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  await second.check();

  await first.end();
  await second.check();
  const third = hold(subject);
  await age(subject);
  await (await third).check();
  await expect(second.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await second.end();
  await (await third).end();
  expect(await readdir(root)).toEqual([]);
});

it('a process that was suspended while it waited takes over a lock that has become stale', async () => {
  const subject = join(root, 'suspended.json');
  const first = await hold(subject);
  const second = hold(subject);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 20_000 });
  await (await second).check();
  await expect(first.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await first.end();
  await (await second).end();
  expect(await readdir(root)).toEqual([]);
});

it('a replacement under a condition waits for a lock that is held, and takes over one that is stale', async () => {
  const { objects } = new FileClient({ path: root });
  const subject = join(root, 'object.json');
  const { version = '' } = await objects.put('object.json', Buffer.from('0'));
  const stale = await hold(subject);
  await age(subject);
  await objects.put('object.json', Buffer.from('1'), { ifMatch: version });
  await expect(stale.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await stale.end();
  expect(await readFile(subject, 'utf8')).toBe('1');
  expect(await readdir(root)).toEqual(['object.json']);
});

/** The version of an object in a folder, by which leases are kept apart. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileClient } from '../src/storage/file/file-client.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('file-version');

describe('an object in a folder', () => {
  test('the version that a write resolves to is that of what it wrote, even if another write follows at once', async () => {
    const path = join(root, 'replica');
    /** What was written, by the version that its writer was told. */
    const written = new Map<string, string>();
    const collisions: string[] = [];
    const write = async (name: string): Promise<void> => {
      const { objects } = new FileClient({ path });
      for (let round = 0; round < 40; round++) {
        const text = `${name} ${round}`;
        const { version = '' } = await objects.put('lock.json', Buffer.from(text));
        const before = written.get(version);
        if (before !== undefined) collisions.push(`${before} and ${text}`);
        written.set(version, text);
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(write));
    expect(collisions).toEqual([]);
  });
});

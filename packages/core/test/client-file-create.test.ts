/** How a file gets its name where the file system has links, and where it has none. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type fsPromises from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';

const links = vi.hoisted(() => ({ areThere: true }));

vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof fsPromises>();
  return {
    ...fs,
    link: async (from: string, to: string) => {
      if (!links.areThere) throw Object.assign(new Error('no links here'), { code: 'ENOTSUP' });
      await fs.link(from, to);
    },
  };
});

const { createName } = await import('../src/storage/file/file-create.ts');
const folders: string[] = [];

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'litestream-create-'));
  folders.push(path);
  return path;
}

afterEach(async () => {
  links.areThere = true;
  await Promise.all(folders.splice(0).map(async (path) => await rm(path, { recursive: true })));
});

describe.each([
  ['with links', true],
  ['without links', false],
])('a name is given to a file once, %s', (_, areThere) => {
  it('leaves another file of that name as it is', async () => {
    links.areThere = areThere;
    const path = await folder();
    const [temp, name] = [join(path, 'temp'), join(path, 'name')];
    await writeFile(temp, 'first');
    expect(await createName(temp, name)).toBe(true);
    await writeFile(temp, 'second');
    expect(await createName(temp, name)).toBe(false);
    expect(await readFile(name, 'utf8')).toBe('first');
    expect((await readdir(path)).sort()).toEqual(['name', 'temp']);
  });

  it('of many at once to exactly one', async () => {
    links.areThere = areThere;
    const path = await folder();
    const name = join(path, 'name');
    const results = await Promise.all(
      Array.from({ length: 12 }, async (_unused, index) => {
        const temp = join(path, `temp-${index}`);
        await writeFile(temp, String(index));
        return await createName(temp, name);
      }),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(await readFile(name, 'utf8')).toBe(String(results.indexOf(true)));
  });
});

import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run, scratchFolder } from './support/cli.ts';
import { countRows, createDatabase, insertRows } from './support/database.ts';

/** Files below a folder with size and time. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return `${path.slice(folder.length)} ${size} ${Math.round(mtimeMs)}`;
    })
    .sort();
}

test('a replica is copied with its history, taken up again, and restored from', async () => {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  createDatabase(database, 5);
  for (const flags of [[], ['-force-snapshot'], []]) {
    insertRows(database, 2);
    const synced = await run(['replicate', '-once', ...flags, database, `file://${from}`]);
    expect(synced.exitCode).toBe(0);
  }
  const config = join(folder, 'litestream.yml');
  writeFileSync(config, `dbs: [{path: ${database}, replica: {path: ${from}}}]\n`);
  const source = ['copy', '-config', config];

  const planned = await run([...source, '-dry-run', database, `file://${to}`]);
  expect(planned).toMatchObject({ exitCode: 0, stderr: '' });
  const names = tree(from).map((line) => line.split('/').at(-1)?.split(' ')[0]);
  for (const name of names) expect(planned.stdout).toContain(name);

  const copied = await run([...source, database, `file://${to}`]);
  expect(copied).toMatchObject({ exitCode: 0, stderr: '' });
  expect(copied.stdout).toMatch(new RegExp(`^Copied ${names.length} files, .* to file://${to}\n$`));
  expect(tree(to)).toEqual(tree(from));

  const last = tree(to).at(-1)?.split(' ')[0] ?? '';
  rmSync(join(to, last));
  const again = await run([...source, '-json', database, `file://${to}`]);
  expect(again).toMatchObject({ exitCode: 0, stderr: '' });
  expect(JSON.parse(again.stdout)).toMatchObject({
    present: names.length - 1,
    files: [{ name: last.split('/').at(-1) }],
  });
  expect(tree(to)).toEqual(tree(from));

  const output = join(folder, 'out.db');
  expect(await run(['restore', '-o', output, `file://${to}`])).toMatchObject({ exitCode: 0 });
  expect(countRows(output)).toBe(11);
});

test.each([
  [['copy'], 'Error: source and target required\nTry: litestream copy file:///backups/app s3://bucket/app\n'],
  [['copy', 'file:///a', 'file:///a'], /^Error: source and target are the same replica\n/],
  [
    ['copy', 'file:///does/not/exist', 'file:///does/not/exist/either'],
    /^Error: the source replica has no files\. Check its path/,
  ],
])('litestream %j is refused', async (args, stderr) => {
  const result = await run(args);
  expect(result).toMatchObject({ exitCode: 1, stdout: '' });
  expect(result.stderr).toMatch(stderr);
});

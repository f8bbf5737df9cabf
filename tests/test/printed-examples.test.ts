/** The programs that README and guides print, run as they are printed. */
import { symlink, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const { FORCE_COLOR: _, NO_COLOR: __, ...env } = process.env;

test.each(['README.md', 'docs/guides/getting-started.md'])(
  'the first program of %s replicates and restores',
  async (page) => {
    const [, program = ''] = /^```ts\n([^]*?)^```/m.exec(readFileSync(join(repositoryRoot, page), 'utf8')) ?? [];
    await using folder = await temporaryFolder('printed');
    const database = new DatabaseSync(join(folder.path, 'app.db'));
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE notes (text); INSERT INTO notes VALUES (1), (2)');
    await symlink(join(repositoryRoot, 'node_modules'), join(folder.path, 'node_modules'));
    await writeFile(join(folder.path, 'app.mjs'), program);

    await using child = new Child('app', process.execPath, ['--no-warnings', 'app.mjs'], { env, cwd: folder.path });
    const { stdout, stderr } = await child.done();
    database.close();
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
    const copy = new DatabaseSync(join(folder.path, 'copy.db'), { readOnly: true });
    expect(copy.prepare('SELECT count(*) AS count FROM notes').get()).toEqual({ count: 2 });
    copy.close();
  },
);

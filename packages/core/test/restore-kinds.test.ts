/** Outputs of a restore that are no regular file: each is refused, also where a database would be replaced, and stays. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { FileClient, Follower, Litestream, guardClient, restore } from '../src/index.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const base = temporaryFolder('restore-kinds');
const replica = join(base, 'replica');

beforeAll(async () => {
  const path = join(base, 'app.db');
  const source = new DatabaseSync(path);
  source.exec('PRAGMA journal_mode = wal; CREATE TABLE t (a)');
  await using litestream = new Litestream({ store: false });
  const database = await litestream.replicate(path, replica);
  await database.replicated();
  source.close();
});

interface Kind {
  readonly what: string;
  readonly make: (path: string) => void | Promise<void>;
}

const KINDS: readonly Kind[] = [
  { what: 'a directory', make: (path) => mkdirSync(path) },
  {
    what: 'a symbolic link',
    make: (path) => {
      writeFileSync(`${path}.real`, 'precious');
      symlinkSync(`${path}.real`, path);
    },
  },
  { what: 'a symbolic link', make: (path) => symlinkSync(`${path}.nothing`, path) },
  { what: 'a named pipe', make: (path) => void execFileSync('mkfifo', [path]) },
  {
    what: 'a socket',
    make: async (path) => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(path, resolve));
      onTestFinished(() => void server.close());
    },
  },
  // What /dev/null is. Only root can make one, and only root could replace it.
  ...(process.geteuid?.() === 0 && process.platform === 'linux'
    ? [{ what: 'a device', make: (path: string) => void execFileSync('mknod', [path, 'c', '1', '3']) }]
    : []),
];

/** The name, and what a link leads to. */
function stateOf(path: string): unknown {
  const { ino, mode, size } = lstatSync(path);
  const real = existsSync(`${path}.real`) ? readFileSync(`${path}.real`, 'utf8') : undefined;
  return { ino, mode, size, real, link: lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined };
}

function output(): string {
  return join(mkdtempSync(join(base, 'case-')), 'out.db');
}

describe.each(KINDS)('$what', ({ what, make }) => {
  const message = new RegExp(`^cannot restore, output path is ${what}: `);

  test('restore, with and without overwriting, of the client and of the class', async () => {
    const path = output();
    await make(path);
    const before = stateOf(path);
    await using client = guardClient(new FileClient({ path: replica }));
    await using litestream = new Litestream({ store: false });
    for (const overwrite of [false, true]) {
      const refusal = { code: 'OUTPUT_EXISTS', object: path, message: expect.stringMatching(message) };
      await expect(restore(client, { output: path, overwrite })).rejects.toMatchObject(refusal);
      await expect(litestream.restore(replica, { output: path, overwrite })).rejects.toMatchObject(refusal);
      expect(stateOf(path)).toEqual(before);
    }
  });

  test('follow', async () => {
    const path = output();
    await make(path);
    const before = stateOf(path);
    await using client = guardClient(new FileClient({ path: replica }));
    for (const overwrite of [false, true]) {
      await expect(Follower.open(client, { output: path, overwrite })).rejects.toMatchObject({
        code: 'OUTPUT_EXISTS',
        message: expect.stringMatching(message),
      });
    }
    expect(stateOf(path)).toEqual(before);
  });

  test('beside the output, where the files of SQLite and of a follower are replaced', async () => {
    await using client = guardClient(new FileClient({ path: replica }));
    for (const suffix of ['-wal', '-txid-target']) {
      const path = output();
      await make(path + suffix);
      const before = stateOf(path + suffix);
      const refusal = { code: 'OUTPUT_EXISTS', object: path + suffix };
      await expect(restore(client, { output: path, overwrite: true })).rejects.toMatchObject(refusal);
      await expect(Follower.open(client, { output: path, overwrite: true })).rejects.toMatchObject(refusal);
      expect(stateOf(path + suffix)).toEqual(before);
      expect(existsSync(path)).toBe(false);
    }
  });
});

test('the advice names what a link leads to', async () => {
  const path = output();
  writeFileSync(`${path}.real`, '');
  symlinkSync('out.db.real', path);
  await using client = guardClient(new FileClient({ path: replica }));
  await expect(restore(client, { output: path, overwrite: true })).rejects.toMatchObject({
    hint: `Give the path that it leads to: ${realpathSync(`${path}.real`)}`,
  });
});

/** Nothing that the database's owner, another user, puts beside it may make us change files elsewhere. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileClient } from '../src/storage/file/file-client.ts';
import { removeStaleTemps } from '../src/storage/file/file-temp.ts';
import { removeFiles, removeTemporaryFiles } from '../src/files/temporary-files.ts';
import { restore } from '../src/restore/restore.ts';
import { Replica } from '../src/replica/replica.ts';
import type { SqliteConnection } from '../src/index.ts';
import { drivers, Lab } from './helpers/db-lab.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const isRoot = process.getuid?.() === 0;
/** `nobody`, and a user of no name. */
const [OWNER, STRANGER] = [65534, 65533];

let elsewhere: string;
beforeEach(() => {
  elsewhere = mkdtempSync(join(tmpdir(), 'litestream-elsewhere-'));
});
afterEach(() => removeFolder(elsewhere, { force: true }));

/** A file of ours that must not change. */
function precious(name = 'precious'): { readonly path: string; check(): void } {
  const path = join(elsewhere, name);
  writeFileSync(path, 'precious', { mode: 0o600 });
  return {
    path,
    check: () => {
      expect(readFileSync(path, 'utf8')).toBe('precious');
      const { mode, uid } = statSync(path);
      expect([mode & 0o777, uid]).toEqual([0o600, process.getuid?.() ?? 0]);
    },
  };
}

/** As the owner of the database: with that user's rights, if we are root. */
function asOwner(script: string): void {
  const drop = isRoot ? `process.setgid(${OWNER}); process.setuid(${OWNER});` : '';
  execFileSync(process.execPath, ['-e', `${drop} const fs = require('node:fs'); ${script}`]);
}

describe.each(drivers)('beside a database of another user ($name)', (driver) => {
  async function tenant(): Promise<{ lab: Lab; app: SqliteConnection } & AsyncDisposable> {
    const lab = new Lab(driver);
    const app = lab.app();
    app.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    if (isRoot) {
      chmodSync(lab.folder, 0o755);
      for (const name of ['', ...readdirSync(lab.folder)]) chownSync(join(lab.folder, name), OWNER, OWNER);
    }
    return { lab, app, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() };
  }

  it('writes through no link under a name that can be guessed', async () => {
    await using one = await tenant();
    const { lab, app } = one;
    const victim = precious();
    const db = lab.db();
    await db.open();
    await db.sync();
    const level0 = db.localLtx(0).folder;
    const names = Array.from({ length: 200 }, (_, i) =>
      join(level0, `0000000000000002-0000000000000002.ltx.${process.pid}-${i}.tmp`),
    );
    names.push(join(db.metaPath, `rest.json.${process.pid}.tmp`));
    asOwner(
      `for (const name of ${JSON.stringify(names)}) fs.symlinkSync(${JSON.stringify(victim.path)}, name);
       fs.rmSync(${JSON.stringify(join(db.metaPath, 'lock-holder.json'))}, { force: true });
       fs.symlinkSync(${JSON.stringify(victim.path)}, ${JSON.stringify(join(db.metaPath, 'lock-holder.json'))});
       fs.symlinkSync(${JSON.stringify(victim.path)}, ${JSON.stringify(join(db.metaPath, 'taken-over'))});`,
    );
    app.exec('INSERT INTO t VALUES (2)');
    expect((await db.sync()).txid).toBe(2n);
    await db.close();
    victim.check();
    const again = lab.db();
    await again.open();
    app.exec('INSERT INTO t VALUES (3)');
    await again.sync();
    await again.close();
    victim.check();
    await lab.verify();
    if (isRoot) for (const file of again.localLtx(0).list()) expect(statSync(file.path).uid).toBe(OWNER);
  });

  it('removes no temporary file through a link', async () => {
    await using one = await tenant();
    const { lab } = one;
    const victim = precious('precious.tmp');
    const db = lab.db();
    await db.open();
    await db.sync();
    await db.close();
    asOwner(`fs.symlinkSync(${JSON.stringify(elsewhere)}, ${JSON.stringify(join(db.metaPath, 'ltx', 'link'))});
      fs.symlinkSync(${JSON.stringify(victim.path)}, ${JSON.stringify(join(db.metaPath, 'link.tmp'))});`);
    const again = lab.db();
    await again.open();
    victim.check();
    expect(existsSync(join(db.metaPath, 'link.tmp'))).toBe(false);
    await again.close();
  });

  it.each(['', 'ltx', 'ltx/0'])('refuses the metadata folder if %j in it is a link', async (name) => {
    await using one = await tenant();
    const { lab } = one;
    const db = lab.db();
    await db.open();
    await db.sync();
    await db.close();
    const folder = join(db.metaPath, name);
    renameSync(folder, join(elsewhere, 'moved'));
    symlinkSync(join(elsewhere, 'moved'), folder);
    const before = readdirSync(elsewhere, { recursive: true }) as string[];
    await expect(lab.db().open()).rejects.toMatchObject({
      code: 'FOLDER_UNSAFE',
      object: folder,
      message: `the folder cannot be trusted, it is a link: ${folder}`,
    });
    const added = (readdirSync(elsewhere, { recursive: true }) as string[]).filter((each) => !before.includes(each));
    expect(added).toEqual([]);
  });

  it('refuses to go on when a folder becomes a link while it runs', async () => {
    await using one = await tenant();
    const { lab, app } = one;
    const db = lab.db();
    await db.open();
    await db.sync();
    const { folder } = db.localLtx(0);
    renameSync(folder, join(elsewhere, 'moved'));
    symlinkSync(join(elsewhere, 'moved'), folder);
    const before = readdirSync(join(elsewhere, 'moved'));
    app.exec('INSERT INTO t VALUES (2)');
    await expect(db.sync()).rejects.toMatchObject({ code: 'FOLDER_UNSAFE' });
    expect(readdirSync(join(elsewhere, 'moved'))).toEqual(before);
  });

  it.runIf(isRoot)('refuses the metadata folder of a user who has nothing to do with the database', async () => {
    await using one = await tenant();
    const { lab } = one;
    const db = lab.db();
    mkdirSync(db.metaPath);
    chownSync(db.metaPath, STRANGER, STRANGER);
    await expect(db.open()).rejects.toMatchObject({
      code: 'FOLDER_UNSAFE',
      message: expect.stringContaining('belongs to the user 65533') as string,
    });
    expect(readdirSync(db.metaPath)).toEqual([]);
    for (const owner of [OWNER, 0]) {
      chownSync(db.metaPath, owner, owner);
      const trusted = lab.db();
      await trusted.open();
      await trusted.close();
    }
  });

  it('is not stopped by a pipe or a device in the place of its records', async () => {
    await using one = await tenant();
    const { lab, app } = one;
    const db = lab.db();
    await db.open();
    await db.sync();
    await db.close();
    for (const name of ['rest.json', 'taken-over', 'lock-holder.json']) {
      const path = join(db.metaPath, name);
      rmSync(path, { force: true });
      if (name === 'lock-holder.json') symlinkSync('/dev/zero', path);
      else execFileSync('mkfifo', [path]);
    }
    const again = lab.db();
    await again.open();
    app.exec('INSERT INTO t VALUES (2)');
    expect((await again.sync()).txid).toBeGreaterThan(1n);
    await again.close();
    await lab.verify();
  });

  it('changes no file that got the name of the ledger while it runs', async () => {
    await using one = await tenant();
    const { lab, app } = one;
    const victim = precious();
    const db = lab.db();
    await db.open();
    await db.sync();
    const ledger = join(db.metaPath, 'ledger');
    expect(statSync(ledger).isFile()).toBe(true);
    rmSync(ledger);
    // As with `fs.protected_hardlinks = 0`, or if a folder above became a link.
    linkSync(victim.path, ledger);
    app.exec('INSERT INTO t VALUES (2)');
    await db.sync();
    // Writes the ledger.
    await db.close();
    victim.check();
    expect(statSync(victim.path).nlink).toBe(1);
    await lab.verify();
  });

  it.each([
    'mkfifo "$0"',
    'mkdir "$0"',
    'ln -s /dev/zero "$0"',
    ': > "$0"',
    'printf null > "$0"',
    'printf "{}" > "$0"',
  ])('opens and replicates with this in the place of its ledger or record: %s', async (command) => {
    await using one = await tenant();
    const { lab, app } = one;
    const first = lab.db();
    await first.open();
    await first.sync();
    await first.close();
    for (const name of ['ledger', 'rest.json']) {
      const path = join(first.metaPath, name);
      rmSync(path, { force: true });
      execFileSync('sh', ['-c', command, path]);
      const again = lab.db();
      await again.open();
      app.exec('INSERT INTO t VALUES (2)');
      const { txid } = await again.sync();
      app.exec('INSERT INTO t VALUES (3)');
      expect((await again.sync()).txid).toBe(txid + 1n);
      await again.close();
      removeFolder(path, { force: true });
    }
    await lab.verify();
  });

  it('removes local files neither through a link nor of another user, even if the folder changes while it opens', async () => {
    await using one = await tenant();
    const { lab } = one;
    const first = lab.db();
    await first.open();
    await first.sync();
    await first.close();
    mkdirSync(join(elsewhere, '0'));
    const names = ['0000000000000001-0000000000000001.ltx', 'precious', 'precious.tmp'];
    for (const name of names) writeFileSync(join(elsewhere, '0', name), '');
    const db = lab.db();
    const levels = join(db.metaPath, 'ltx');
    const history = {
      maxTxid: (): Promise<bigint> => {
        renameSync(levels, `${levels}-moved`);
        symlinkSync(elsewhere, levels);
        return Promise.resolve(99n);
      },
      openLevel0: (): Promise<undefined> => Promise.resolve(undefined),
    };
    await expect(db.open({ history })).rejects.toMatchObject({ code: 'FOLDER_UNSAFE' });
    expect(readdirSync(join(elsewhere, '0')).sort()).toEqual([...names].sort());
    removeTemporaryFiles(levels, { uid: OWNER });
    removeFiles([db.metaPath, 'ltx', '0'], { uid: OWNER }, () => true);
    expect(readdirSync(join(elsewhere, '0')).sort()).toEqual([...names].sort());
    if (isRoot) {
      chownSync(join(elsewhere, '0'), STRANGER, STRANGER);
      removeTemporaryFiles(elsewhere, { uid: OWNER });
      expect(readdirSync(join(elsewhere, '0')).sort()).toEqual([...names].sort());
      chownSync(join(elsewhere, '0'), OWNER, OWNER);
    }
    removeTemporaryFiles(elsewhere, { uid: OWNER });
    removeFiles([elsewhere, '0'], { uid: OWNER }, (name) => name.endsWith('.ltx'));
    expect(readdirSync(join(elsewhere, '0'))).toEqual(['precious']);
  });

  it('takes no link for the lock', async () => {
    await using one = await tenant();
    const { lab } = one;
    const victim = precious();
    const db = lab.db();
    mkdirSync(db.metaPath);
    symlinkSync(victim.path, join(db.metaPath, 'lock'));
    await expect(db.open()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    victim.check();
  });
});

describe('the folder of a replica', () => {
  it('is not swept where it is a link, nor of files that are no LTX files', async () => {
    const folder = join(elsewhere, 'replica', 'ltx');
    mkdirSync(folder, { recursive: true });
    const real = join(elsewhere, 'real');
    mkdirSync(real);
    const names = ['0000000000000001-0000000000000001.ltx.tmp', 'precious.tmp'];
    for (const name of names) writeFileSync(join(real, name), '');
    symlinkSync(real, join(folder, '0'));
    await removeStaleTemps(join(folder, '0'), 0, Date.now() + 1000);
    expect(readdirSync(real).sort()).toEqual([...names].sort());
    await removeStaleTemps(real, 0, Date.now() + 1000);
    expect(readdirSync(real)).toEqual(['precious.tmp']);
  });
});

describe('a restored database', () => {
  it('can be read by its user alone, or as the file that it replaces', async () => {
    await using lab = new Lab();
    lab.app().exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    const client = new FileClient({ path: join(elsewhere, 'replica') });
    const db = lab.db();
    const replica = new Replica(client, db);
    await db.open();
    await replica.replicated();
    const modeOf = (path: string): number => lstatSync(path).mode & 0o777;
    const output = join(elsewhere, 'copy.db');
    const umask = process.umask(0);
    try {
      await restore(client, { output });
      expect(modeOf(output)).toBe(0o600);
      chmodSync(output, 0o640);
      if (isRoot) chownSync(output, OWNER, OWNER);
      await restore(client, { output, overwrite: true });
      expect(modeOf(output)).toBe(0o640);
      if (isRoot) expect(lstatSync(output).uid).toBe(OWNER);
      const prepared = join(elsewhere, 'prepared.db');
      writeFileSync(prepared, '', { mode: 0o664 });
      await restore(client, { output: prepared });
      expect(modeOf(prepared)).toBe(0o664);
    } finally {
      process.umask(umask);
    }
  });
});

/** The place a case runs in: a database, replicas made by Go, a config. Made anew for each run of each program. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { copyFixtureReplica } from '../support/fixture.ts';
import { copyV3Fixture, loadV3Fixtures } from '../support/v3-fixture.ts';
import { removeFolder } from '../support/remove-folder.ts';

/** Makes what every place is a copy of. */
export async function makeTemplate(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const database = new DatabaseSync(join(folder, 'app.db'));
  database.exec('PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)');
  database.close();
  await copyFixtureReplica('levels', join(folder, 'replica'));
  const old = (await loadV3Fixtures()).find(({ name }) => name === 'many-logs');
  if (old === undefined) throw new Error('the fixture many-logs is gone');
  await copyV3Fixture(old, join(folder, 'old'));
  mkdirSync(join(folder, 'empty', 'ltx'), { recursive: true });
  cpSync(join(folder, 'replica', 'ltx', '0'), join(folder, '.app.db-litestream', 'ltx', '0'), {
    recursive: true,
    preserveTimestamps: true,
  });
  for (const name of ['fresh.db', 'notes.db']) cpSync(join(folder, 'app.db'), join(folder, name));
  symlinkSync('notes.db', join(folder, 'link.db'));
  symlinkSync('nothing.db', join(folder, 'loose.db'));
  writeFileSync(join(folder, 'secret.db'), 'secret');
  chmodSync(join(folder, 'secret.db'), 0o600);
  writeFileSync(join(folder, 'zero.db'), '');
  mkdirSync(join(folder, 'folder.db'));
  writeFileSync(join(folder, 'side.db-wal'), 'left over');
}

/** Puts a fresh copy of the template, with a case's own files, where `root` is. */
export function makePlace(template: string, root: string, files: Readonly<Record<string, string>>): void {
  if (!asNew.has(root)) {
    removeFolder(root, { force: true });
    copyTemplate(template, root);
  }
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(root, name), text.replaceAll('$ROOT', root));
  }
}

/** Places in which nothing was changed since they were made: most cases leave theirs so. */
const asNew = new Set<string>();

function copyTemplate(template: string, root: string): void {
  cpSync(template, root, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  const config = ['app.db', 'fresh.db', 'missing.db'].map((name) => {
    const replica = name === 'app.db' ? 'replica' : 'empty';
    return `  - path: ${join(root, name)}\n    replica:\n      type: file\n      path: ${join(root, replica)}\n`;
  });
  writeFileSync(join(root, 'litestream.yml'), `dbs:\n${config.join('')}`);
}

/** Ends a case: takes its own files away. Names the files that are new, gone or changed against the template. */
export function changesOf(template: string, root: string, files: Readonly<Record<string, string>>): string[] {
  const changes: string[] = [];
  const names = new Set([...filesOf(template), ...filesOf(root)]);
  for (const name of [...names].sort()) {
    if (name === 'litestream.yml' || Object.hasOwn(files, name)) continue;
    const [before, after] = [join(template, name), join(root, name)].map(contentOf);
    if (before === after) continue;
    if (after === undefined) changes.push(`gone ${name}`);
    else changes.push(`${before === undefined ? 'new' : 'changed'} ${name} ${modeOf(join(root, name))} ${after}`);
  }
  for (const name of Object.keys(files)) rmSync(join(root, name));
  if (changes.length === 0) asNew.add(root);
  else asNew.delete(root);
  return changes;
}

function filesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' });
}

/** What a file holds, in few letters. */
function contentOf(path: string): string | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isSymbolicLink()) return 'link';
  if (stat.isDirectory()) return 'folder';
  return createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12);
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

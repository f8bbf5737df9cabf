/**
 * Can another user change what a path leads to? Code that is loaded from a path, or a folder that is written to by request, is
 * only as safe as each folder above it: who can write to one of them can put another file in the place of ours.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join, parse, resolve, sep } from 'node:path';

/** In a folder with this bit, only the owner of a file, or of the folder, can rename or remove the file. */
const STICKY = 0o1000;
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;
/** As many as Linux follows. */
const LINK_COUNT_MAX = 40;
/** On macOS, members of this group may become root. */
const MACOS_ADMIN = 80;

/**
 * Why the path cannot be trusted; undefined if it can, or if nothing exists there.
 *
 * Every file and folder from the root on, and those that links lead to, must belong to one of `owners`, and nobody else may
 * write to it: not all users, and no group with other members. Folders like `/tmp` (sticky) are accepted above the path, since
 * nobody can replace there what belongs to another user.
 */
export function distrust(path: string, owners: ReadonlySet<number>): string | undefined {
  // Node cannot read owners on Windows; folders there are private to their user by inheritance.
  if (process.geteuid === undefined) return undefined;
  let at = parse(resolve(path)).root;
  let rest = partsOf(resolve(path));
  for (let linkCount = 0; ;) {
    const stats = lstatSync(at, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (!owners.has(stats.uid)) return `${at} belongs to another user`;
    if (stats.isSymbolicLink()) {
      linkCount += 1;
      if (linkCount > LINK_COUNT_MAX) return `${at} leads through too many links`;
      // Its target is looked at from the root on.
      const target = resolve(dirname(at), readlinkSync(at));
      rest = partsOf(target).concat(rest);
      at = parse(target).root;
      continue;
    }
    const reason = writers(at, stats, rest.length > 0);
    const next = rest.shift();
    if (reason !== undefined || next === undefined) return reason;
    at = join(at, next);
  }
}

function partsOf(path: string): string[] {
  return path
    .slice(parse(path).root.length)
    .split(sep)
    .filter((part) => part !== '');
}

/** Who else can write there. `isAbove`: a folder above the path. */
function writers(path: string, { mode, uid, gid }: Stats, isAbove: boolean): string | undefined {
  if (isAbove && (mode & STICKY) !== 0) return undefined;
  if ((mode & OTHERS_WRITE) !== 0) return `all users can write to ${path}`;
  if ((mode & GROUP_WRITE) !== 0 && !isPrivate(gid, uid)) return `the group ${gid} can write to ${path}`;
  return undefined;
}

/**
 * Has the group no members but its user and root? Many systems give each user such a group, and let it write to the user's files.
 * The group of root counts as well. Where the system does not list the group, one with the number of its user is the user's own.
 */
function isPrivate(gid: number, uid: number): boolean {
  if (gid === 0) return true;
  if (process.platform === 'darwin') return gid === MACOS_ADMIN;
  const group = rowsOf('/etc/group').find((row) => row[2] === String(gid));
  if (group === undefined) return gid === uid;
  const users = rowsOf('/etc/passwd');
  const trusted = new Set(['root', ...users.filter((row) => row[2] === String(uid)).map((row) => row[0])]);
  const members = [
    ...(group[3] ?? '').split(',').filter((name) => name !== ''),
    ...users.filter((row) => row[3] === String(gid)).map((row) => row[0]),
  ];
  return members.every((name) => trusted.has(name));
}

function rowsOf(path: string): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch {
    return []; // Not every system or container has such a file.
  }
}

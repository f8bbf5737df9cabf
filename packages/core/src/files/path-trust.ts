/**
 * Can another user change what a path leads to? Code that is loaded from a path, or a folder that is written to by request, is
 * only as safe as each folder above it: a user who can write to one of them can replace our file.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join, parse, resolve, sep } from 'node:path';

/** In a folder with this bit, only the owner of a file, or of the folder, can rename or remove the file. */
const STICKY = 0o1000;
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;
/** As many as Linux follows: nothing can be opened through more. */
const LINK_COUNT_MAX = 40;
/** On macOS, members of this group may become root. */
const MACOS_ADMIN = 80;

/**
 * Why the path cannot be trusted; undefined if it can, or if nothing exists there.
 *
 * Every file and folder from the root on, and those that links lead to, must belong to one of `owners`. Only they may write to
 * it: not all users, and no group with other members. Sticky folders like `/tmp` are accepted above the path, since no user can
 * replace the file of another one there.
 */
export function distrust(path: string, owners: ReadonlySet<number>): string | undefined {
  for (const { at, stats, isAbove } of partsOnTheWay(path)) {
    if (!owners.has(stats.uid)) return `${at} belongs to another user`;
    if (stats.isSymbolicLink()) continue;
    const reason = writers(at, stats, isAbove);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/**
 * The link that leads to the file although it belongs neither to this user, nor to root, nor to the owner of the file; undefined
 * if there is none. Another user may have made it so that we work on that file.
 */
export function foreignLink(path: string): string | undefined {
  const links: { readonly at: string; readonly uid: number }[] = [];
  let owner: number | undefined;
  for (const { at, stats, isAbove } of partsOnTheWay(path)) {
    if (stats.isSymbolicLink()) links.push({ at, uid: stats.uid });
    else if (!isAbove) owner = stats.uid;
  }
  const owners = new Set([0, process.geteuid?.(), owner]);
  return owner === undefined ? undefined : links.find(({ uid }) => !owners.has(uid))?.at;
}

interface Part {
  readonly at: string;
  readonly stats: Stats;
  /** A folder above the end of the path. */
  readonly isAbove: boolean;
}

/** Each file, folder and link from the root on, until one does not exist. Nothing where there are too many links. */
function* partsOnTheWay(path: string): Generator<Part> {
  // Node cannot read owners on Windows; folders there are private to their user by inheritance.
  if (process.geteuid === undefined) return;
  let at = parse(resolve(path)).root;
  const rest = partsOf(resolve(path));
  for (let linkCount = 0; ;) {
    const stats = lstatSync(at, { throwIfNoEntry: false });
    if (stats === undefined) return;
    yield { at, stats, isAbove: rest.length > 0 };
    if (stats.isSymbolicLink()) {
      linkCount += 1;
      if (linkCount > LINK_COUNT_MAX) return;
      // Its target is looked at from the root on.
      const target = resolve(dirname(at), readlinkSync(at));
      rest.unshift(...partsOf(target));
      at = parse(target).root;
      continue;
    }
    const next = rest.shift();
    if (next === undefined) return;
    at = join(at, next);
  }
}

function partsOf(path: string): string[] {
  return path
    .slice(parse(path).root.length)
    .split(sep)
    .filter((part) => part !== '');
}

/** Which other users can write there; undefined if none can. `isAbove`: a folder above the path. */
function writers(path: string, { mode, uid, gid }: Stats, isAbove: boolean): string | undefined {
  if (isAbove && (mode & STICKY) !== 0) return undefined;
  if ((mode & OTHERS_WRITE) !== 0) return `all users can write to ${path}`;
  if ((mode & GROUP_WRITE) !== 0 && !isPrivate(gid, uid)) return `the group ${gid} can write to ${path}`;
  return undefined;
}

/** What the system lists of its users and groups, in the format of `/etc/passwd` and `/etc/group`. */
export interface UserLists {
  readonly users: readonly (readonly string[])[];
  readonly groups: readonly (readonly string[])[];
}

/**
 * Has the group no members but its user and root? Many systems give each user such a group, and let it write to the user's files.
 * Where the system does not list the group, root's is private, and one with the number of its user is the user's own.
 */
export function isPrivate(gid: number, uid: number, lists?: UserLists): boolean {
  if (lists === undefined && process.platform === 'darwin') return gid === 0 || gid === MACOS_ADMIN;
  const { users, groups } = lists ?? { users: rowsOf('/etc/passwd'), groups: rowsOf('/etc/group') };
  const group = groups.find((row) => row[2] === String(gid));
  if (group === undefined) return gid === 0 || gid === uid;
  const trusted = new Set(['root', ...users.filter((row) => row[2] === String(uid)).map((row) => row[0])]);
  const members = [
    ...(group[3] ?? '').split(',').filter((name) => name !== ''),
    // Some systems give the group of root to service users, which cannot log in.
    ...(gid === 0 ? [] : users.filter((row) => row[3] === String(gid)).map((row) => row[0])),
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

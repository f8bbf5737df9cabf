/** Finds programs that write to a database file without SQLite, where the system lists open files (Linux). */
import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { FileKey } from '../driver/file-locks.ts';

const ACCESS_MODE = 3;
const WRITE_ONLY = 1;

/** Listing all open files takes long: calls within this time share one list. */
const LIST_AGE_MS_MAX = 250;

let listed: { readonly byName: ReadonlyMap<string, readonly OpenFile[]>; readonly atMs: number } | undefined;

interface OpenFile {
  readonly process: string;
  readonly descriptor: string;
}

/**
 * Does a program have this file open for writing only? `cp`, shell redirections and downloads do; SQLite never does,
 * since it also reads. False proves nothing: not every program is visible to this process.
 */
export function hasOutsideWriter(path: string, file: FileKey): boolean {
  const nowMs = performance.now();
  if (listed === undefined || nowMs - listed.atMs > LIST_AGE_MS_MAX) listed = { byName: listOpenFiles(), atMs: nowMs };
  return (listed.byName.get(nameOf(path)) ?? []).some((candidate) => isWriterOf(candidate, file));
}

/** The name as the list shows it: the path may be a symbolic link. */
function nameOf(path: string): string {
  try {
    return basename(realpathSync(path));
  } catch {
    return basename(path); // Deleted meanwhile.
  }
}

function isWriterOf({ process, descriptor }: OpenFile, file: FileKey): boolean {
  try {
    const stat = statSync(`/proc/${process}/fd/${descriptor}`, { bigint: true });
    if (stat.ino !== file.ino || stat.dev !== file.dev) return false;
    const info = readFileSync(`/proc/${process}/fdinfo/${descriptor}`, 'latin1');
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '0', 8);
    return (flags & ACCESS_MODE) === WRITE_ONLY;
  } catch {
    return false; // Closed, or its process ended, meanwhile.
  }
}

function listOpenFiles(): Map<string, OpenFile[]> {
  const byName = new Map<string, OpenFile[]>();
  for (const process of namesIn('/proc')) {
    if (!/^\d+$/.test(process)) continue;
    for (const descriptor of namesIn(`/proc/${process}/fd`)) {
      const target = targetOf(`/proc/${process}/fd/${descriptor}`);
      if (target === undefined) continue;
      const name = basename(target);
      const known = byName.get(name);
      if (known === undefined) byName.set(name, [{ process, descriptor }]);
      else known.push({ process, descriptor });
    }
  }
  return byName;
}

function targetOf(link: string): string | undefined {
  try {
    const target = readlinkSync(link);
    return target.startsWith('/') ? target : undefined;
  } catch {
    return undefined;
  }
}

/** Empty if the folder does not exist or may not be listed: processes of other users, or all of /proc. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

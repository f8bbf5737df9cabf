import { homedir } from 'node:os';
import { join } from 'node:path';

/** `~/…` as a path in the home folder; any other path as it is. */
export function expandHome(path: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : path;
}

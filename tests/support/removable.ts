/**
 * Folders that a daemon writes to, taken away and given back in one step: between two steps it could make the folder again.
 * Such a folder is a link, to a folder of the name `PATH.away` or to a file in the way.
 */
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';

/** Makes the folder. Call it before anything else makes one there. */
export function makeRemovable(path: string): void {
  mkdirSync(`${path}.away`, { recursive: true });
  pointTo(path, `${path}.away`);
}

/** Makes the path impossible, even for root: a file stands there. */
export function takeAway(path: string): void {
  writeFileSync(`${path}.in-the-way`, 'in the way');
  pointTo(path, `${path}.in-the-way`);
}

export function giveBack(path: string): void {
  pointTo(path, `${path}.away`);
}

function pointTo(path: string, target: string): void {
  const link = `${path}.link`;
  symlinkSync(target, link);
  renameSync(link, path);
}

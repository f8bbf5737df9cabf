/** A small disk of its own. Only root can mount it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const sizeMib = 64;

export interface Volume extends Disposable {
  readonly path: string;
  /** Takes all room but this many bytes. */
  fill(freeBytes: number): void;
  empty(): void;
}

/** Undefined if this user may not mount one. */
export function openVolume(path: string): Volume | undefined {
  mkdirSync(path);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', path]).status !== 0) return undefined;
  const filler = join(path, 'filler');
  const unmount = (): void => void spawnSync('umount', ['-l', path]);
  process.once('exit', unmount);
  return {
    path,
    fill(freeBytes) {
      const { bavail, bsize } = statfsSync(path);
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - freeBytes)));
    },
    empty: () => rmSync(filler, { force: true }),
    [Symbol.dispose]() {
      process.removeListener('exit', unmount);
      unmount();
    },
  };
}

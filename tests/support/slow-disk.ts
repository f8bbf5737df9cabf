/**
 * A disk that is slow in truth: a file system in a file, behind a loop device whose writes the kernel throttles. Takes
 * root, `losetup`, and the `blkio` controller of cgroups (version 1), which throttles the root group, too.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const THROTTLE = '/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device';

export interface SlowDisk extends Disposable {
  /** Where it is mounted. */
  readonly path: string;
}

export interface SlowDiskOptions {
  readonly sizeMib: number;
  readonly mibPerSecond: number;
}

/** In a folder that exists. Undefined where this user, or this system, cannot make one. */
export function slowDisk(folder: string, { sizeMib, mibPerSecond }: SlowDiskOptions): SlowDisk | undefined {
  if (process.getuid?.() !== 0 || !existsSync(THROTTLE)) return undefined;
  const image = join(folder, 'slow-disk.img');
  const path = join(folder, 'slow-disk');
  using undo = new DisposableStack();
  undo.defer(() => rmSync(image, { force: true }));
  writeFileSync(image, '');
  truncateSync(image, sizeMib * 2 ** 20);
  if (run('mkfs.ext4', ['-q', image]) === undefined) return undefined;
  const device = run('losetup', ['-f', '--show', image])?.trim();
  if (device === undefined) return undefined;
  undo.defer(() => void run('losetup', ['-d', device]));
  const number = readFileSync(`/sys/class/block/${basename(device)}/dev`, 'latin1').trim();
  try {
    writeFileSync(THROTTLE, `${number} ${mibPerSecond * 2 ** 20}`);
  } catch {
    return undefined;
  }
  undo.defer(() => writeFileSync(THROTTLE, `${number} 0`));
  mkdirSync(path);
  if (run('mount', [device, path]) === undefined) return undefined;
  undo.defer(() => void run('umount', ['-l', path]));
  const made = undo.move();
  return { path, [Symbol.dispose]: () => made.dispose() };
}

/** What it printed; undefined if it could not be run, or failed. */
function run(command: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

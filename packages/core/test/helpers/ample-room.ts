/** A disk with room for optional files, however full the disk of the tests is. */
import { replaceFs } from './intercept-fs.ts';

/** Until disposed, each file system seems to be empty for code in this thread. */
export function ampleRoom(): Disposable {
  return replaceFs('statfsSync', () => ({ bsize: 4096, blocks: 2 ** 30, bavail: 2 ** 30 }));
}

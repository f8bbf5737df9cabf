import { read } from 'node:fs';
import type { RandomAccess } from '../format/page-index.ts';

/** Random access over an open descriptor, which the caller must close. `size` is the length of the file in bytes. */
export function fileAccess(fd: number, size: number): RandomAccess {
  return {
    size,
    read: (offset, length) =>
      new Promise((resolve, reject) => {
        const bytes = new Uint8Array(length);
        const step = (done: number): void => {
          if (done === length) {
            resolve(bytes);
            return;
          }
          read(fd, bytes, done, length - done, offset + done, (error, count) => {
            if (error !== null) reject(error);
            else if (count === 0) reject(new RangeError(`file ends before byte ${offset + length}`));
            else step(done + count);
          });
        };
        step(0);
      }),
  };
}

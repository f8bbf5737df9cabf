import type { OnWriteProgress } from '@litestream/core';
import { Progress } from './progress.ts';
import type { ProgressOptions } from './progress.ts';

/** Shows progress while a database is read for a large file, such as its first snapshot. */
export function showSnapshots(options: Omit<ProgressOptions, 'name'>): OnWriteProgress {
  let shown: Progress | undefined;
  return (progress) => {
    if (progress === undefined) {
      shown?.clear();
      shown = undefined;
      return;
    }
    shown ??= new Progress({ ...options, name: 'snapshot' });
    shown.update('write', progress.bytesDone, progress.bytesTotal);
  };
}

import type { OnWriteProgress } from '@litestream/core';
import { Progress } from './progress.ts';
import type { ProgressOptions } from './progress.ts';

/** Shows how far a big file is, the first snapshot of a database above all, while the database is read for it. */
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

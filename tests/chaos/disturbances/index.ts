import type { Disturbance } from '../disturbance.ts';
import { arrival } from './arrival.ts';
import { badDisk } from './bad-disk.ts';
import { badNetwork } from './bad-network.ts';
import { cleanStop } from './clean-stop.ts';
import { clockStep } from './clock-step.ts';
import { copiedOver } from './copied-over.ts';
import { deletedWal } from './deleted-wal.ts';
import { droppedTables } from './dropped-tables.ts';
import { emptiedReplica } from './emptied-replica.ts';
import { failedStop } from './failed-stop.ts';
import { fullDisk } from './full-disk.ts';
import { kill } from './kill.ts';
import { killedRestore } from './killed-restore.ts';
import { lostMetadata } from './lost-metadata.ts';
import { otherLibrary } from './other-library.ts';
import { otherPageSize } from './page-size.ts';
import { putBack } from './put-back.ts';
import { secondDaemon } from './second-daemon.ts';
import { suspend } from './suspend.ts';
import { twoWriters } from './two-writers.ts';
import { uncounted } from './uncounted.ts';
import { unreachable } from './unreachable.ts';

export const disturbances: readonly Disturbance[] = [
  kill,
  suspend,
  cleanStop,
  arrival,
  putBack,
  copiedOver,
  twoWriters,
  secondDaemon,
  otherLibrary,
  uncounted,
  droppedTables,
  emptiedReplica,
  clockStep,
  killedRestore,
  failedStop,
  unreachable,
  badNetwork,
  badDisk,
  fullDisk,
  lostMetadata,
  deletedWal,
  otherPageSize,
];

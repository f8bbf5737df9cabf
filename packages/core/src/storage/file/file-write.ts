import type { FileHandle } from 'node:fs/promises';

import type { Body, Op } from '../contract/contract.ts';

/** A sync starts after about this many bytes, so that the last sync is short. */
const SYNC_SIZE = 4 << 20;

/**
 * Writes a body to an open file, and returns its size in bytes. If the body allows it, the next chunk is read while the
 * last one is written. Syncs run meanwhile; the caller must still sync at the end.
 */
export async function writeBody(handle: FileHandle, body: Body, { signal }: Op = {}): Promise<number> {
  let size = 0;
  let unsynced = 0;
  let isSyncing = false;
  let writing: Promise<void> | undefined;
  let syncing: Promise<void> | undefined;
  const sync = async (): Promise<void> => {
    isSyncing = true;
    await handle.datasync();
    isSyncing = false;
  };
  try {
    for await (const chunk of body.open()) {
      signal?.throwIfAborted();
      await writing;
      size += chunk.byteLength;
      unsynced += chunk.byteLength;
      // `write` may write only a part; `writeFile` continues until the whole chunk is written.
      writing = handle.writeFile(chunk);
      if (body.readAhead !== true) await writing;
      // The next `await` gets its error; until then it must not count as an unhandled rejection.
      else writing.catch(() => undefined);
      // One at a time, and not awaited here. The system reports its error only once, so it must be kept.
      if (unsynced < SYNC_SIZE || isSyncing) continue;
      await syncing;
      unsynced = 0;
      syncing = sync();
      syncing.catch(() => undefined);
    }
    await writing;
    await syncing;
  } finally {
    // After another error: the file must not be closed during a write, whose own error is not needed.
    await Promise.allSettled([writing, syncing]);
  }
  return size;
}

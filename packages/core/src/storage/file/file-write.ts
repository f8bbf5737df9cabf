import type { FileHandle } from 'node:fs/promises';

import type { Body, Op } from '../contract/contract.ts';

/** What is written is sent to the disk about this often, so that the last sync has little left to wait for. */
const SYNC_SIZE = 4 << 20;

/**
 * Writes a body to an open file, and returns its size in bytes. Where the body allows it, the next chunk is made while the
 * last one is written. The disk is set to work meanwhile; the caller still has to sync in the end.
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
      // `write` may take a part only; `writeFile` goes on until the whole chunk is in.
      writing = handle.writeFile(chunk);
      if (body.readAhead !== true) await writing;
      // Whoever waits for it next gets its error; until then it must not count as unhandled.
      else writing.catch(() => undefined);
      // One at a time, and nobody waits for it. Its error is told once by the system, so it must not get lost.
      if (unsynced < SYNC_SIZE || isSyncing) continue;
      await syncing;
      unsynced = 0;
      syncing = sync();
      syncing.catch(() => undefined);
    }
    await writing;
    await syncing;
  } finally {
    // After an error elsewhere: the file must not be closed under a write, whose own error would add nothing.
    await Promise.allSettled([writing, syncing]);
  }
  return size;
}

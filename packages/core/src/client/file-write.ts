import type { FileHandle } from 'node:fs/promises';

import type { Body, Op } from './contract.ts';

/** What is written is sent to the disk about this often, so that the last sync has little left to wait for. */
const SYNC_SIZE = 8 << 20;

/**
 * Writes a body to an open file, and returns its size in bytes. Where the body allows it, the next chunk is made while the
 * last one is written and synced; the caller still has to sync in the end.
 */
export async function writeBody(handle: FileHandle, body: Body, { signal }: Op = {}): Promise<number> {
  let size = 0;
  let unsynced = 0;
  let writing: Promise<void> | undefined;
  try {
    for await (const chunk of body.open()) {
      signal?.throwIfAborted();
      await writing;
      size += chunk.byteLength;
      unsynced += chunk.byteLength;
      const withSync = unsynced >= SYNC_SIZE;
      if (withSync) unsynced = 0;
      writing = write(handle, chunk, withSync);
      if (body.readAhead !== true) await writing;
      // Whoever waits for it next gets its error; until then it must not count as unhandled.
      else writing.catch(() => undefined);
    }
    await writing;
  } finally {
    // After an error elsewhere: the file must not be closed under a write, whose own error would add nothing.
    await Promise.allSettled([writing]);
  }
  return size;
}

async function write(handle: FileHandle, chunk: Uint8Array, withSync: boolean): Promise<void> {
  // `write` may take a part only; `writeFile` goes on until the whole chunk is in.
  await handle.writeFile(chunk);
  if (withSync) await handle.datasync();
}

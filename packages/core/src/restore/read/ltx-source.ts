/** Bytes of one planned file, by range: from a local path if the client has one, else through the client. */
import { open } from 'node:fs/promises';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import type { LtxFileInfo, ReplicaClient } from '../../storage/contract/contract.ts';
import { resumableSource } from '../../storage/reading/resumable-reader.ts';
import type { Spool } from './spool.ts';
import { corrupt, fault, ltxName } from './ltx-errors.ts';

export interface LtxSource {
  readonly info: LtxFileInfo;
  /** For messages. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Path at which workers can read the file themselves. */
  readonly path: string | undefined;
  /** Exactly `size` bytes from `offset`, in a new buffer. */
  read(offset: number, size: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Files up to this size are read with one request, which is cheaper than two smaller ones. */
export const WHOLE_SIZE_MAX_REMOTE: number = 1 << 20;

export async function openLtxSource(
  client: ReplicaClient,
  info: LtxFileInfo,
  { signal, spool }: { readonly signal: AbortSignal; readonly spool: Spool },
): Promise<LtxSource> {
  const name = ltxName(info);
  const needsCopy = client.capabilities.ranges === false && info.size > WHOLE_SIZE_MAX_REMOTE;
  const path = client.localPath?.(info) ?? (needsCopy ? await spool.copy(client, info, signal) : undefined);
  const read = async (offset: number, size: number): Promise<Uint8Array<ArrayBuffer>> => {
    signal.throwIfAborted();
    try {
      if (path !== undefined) return await readLocal(path, offset, size, name);
      return await readRemote(client, info, { offset, size, name, signal });
    } catch (error) {
      throw fault(name, error);
    }
  };
  return { info, name, size: info.size, path, read };
}

async function readLocal(path: string, offset: number, size: number, name: string): Promise<Uint8Array<ArrayBuffer>> {
  await using handle = await open(path, OPEN_EXISTING.read);
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size;) {
    const { bytesRead } = await handle.read(bytes, done, size - done, offset + done);
    if (bytesRead === 0) throw truncated(name, offset + done);
    done += bytesRead;
  }
  return bytes;
}

async function readRemote(
  client: ReplicaClient,
  info: LtxFileInfo,
  range: { offset: number; size: number; name: string; signal: AbortSignal },
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(range.size);
  let done = 0;
  const { offset, size, signal } = range;
  for await (const chunk of resumableSource(client, info, { offset, size, signal })) {
    if (done + chunk.length > range.size) throw corrupt(range.name, 'the replica sent more bytes than requested');
    bytes.set(chunk, done);
    done += chunk.length;
  }
  if (done < range.size) throw truncated(range.name, range.offset + done);
  return bytes;
}

function truncated(name: string, at: number): Error {
  return corrupt(name, `is truncated: it ends at byte ${at}, before its listed size`);
}

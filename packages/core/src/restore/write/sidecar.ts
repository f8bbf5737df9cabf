/**
 * The `-txid` file beside a copy: the transaction that the copy is known to hold, as 16 hex digits, in the format of
 * Litestream (Go).
 */
import { readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatTxid, parseTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import { isErrno, syncFolder } from '../../storage/file/file-durability.ts';
import { LitestreamError } from '../../util/error.ts';
import { OPEN_EXISTING, openReplacing } from '../../files/safe-files.ts';
import { fault } from '../read/ltx-errors.ts';

export function sidecarPath(path: string): string {
  return `${path}-txid`;
}

/** Undefined if there is no file. Rejects with `DATABASE_INVALID` for one that holds no TXID. */
export async function readSidecar(path: string): Promise<TXID | undefined> {
  const sidecar = sidecarPath(path);
  const text = (await readBeside(sidecar))?.trim();
  if (text === undefined) return undefined;
  const txid = /^[0-9a-fA-F]{16}$/.test(text) ? parseTxid(text) : 0n;
  if (txid > 0n) return txid;
  throw new LitestreamError(`does not hold a TXID: ${sidecar}`, {
    code: 'DATABASE_INVALID',
    operation: 'follow',
    object: sidecar,
    hint: 'Delete it and the copy to restore from scratch, or bring the copy up to date as it is with -force (`overwrite: true` in code).',
  });
}

/** Durable and all or nothing. */
export async function writeSidecar(path: string, txid: TXID): Promise<void> {
  await writeBeside(sidecarPath(path), `${formatTxid(txid)}\n`);
}

/** Undefined if there is no such file. */
export async function readBeside(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, { encoding: 'latin1', flag: OPEN_EXISTING.read });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw fault(file, error);
  }
}

/** Durable and all or nothing. */
export async function writeBeside(file: string, text: string): Promise<void> {
  const temporary = `${file}.tmp`;
  try {
    {
      await using handle = await openReplacing(temporary, 0o644);
      await handle.writeFile(text);
      await handle.sync();
    }
    await rename(temporary, file);
    await syncFolder(dirname(file));
  } catch (error) {
    await rm(temporary, { force: true });
    throw fault(file, error);
  }
}

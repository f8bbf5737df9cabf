/**
 * The `-txid-target` file beside a copy: the last transaction that was to be applied to it, and the file of the replica
 * that ends there. Written before the copy changes, while `-txid` is written afterwards: if the two differ, the copy
 * holds one of the two transactions. If they agree, the record names the file that the copy continues from. Litestream
 * (Go) ignores it.
 */
import { rm } from 'node:fs/promises';
import { decodeHeader, encodeHeader, formatTxid, parseTxid } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../../storage/contract/contract.ts';
import { readBeside, readSidecar, sidecarPath, writeBeside } from './sidecar.ts';

export interface TargetRecord {
  readonly txid: TXID;
  /** The whole database was compared: an interrupted comparison leaves a state that files cannot continue. */
  readonly isRebase: boolean;
  /** The newest file that was applied. */
  readonly level: number;
  readonly minTxid: TXID;
  readonly size: number;
  readonly header: LtxHeader;
}

export function targetRecordOf(file: LtxFileInfo, header: LtxHeader, isRebase: boolean): TargetRecord {
  return { txid: file.maxTxid, isRebase, level: file.level, minTxid: file.minTxid, size: file.size, header };
}

export function targetRecordPath(path: string): string {
  return `${path}-txid-target`;
}

/** Undefined if there is no file; 'unreadable' for one that holds something else. */
export async function readTargetRecord(path: string): Promise<TargetRecord | 'unreadable' | undefined> {
  const text = await readBeside(targetRecordPath(path));
  if (text === undefined) return undefined;
  const match = /^([0-9a-f]{16}) (extend|rebase) ([0-9]) ([0-9a-f]{16}) ([0-9]{1,15}) ([0-9a-f]{200})\n$/.exec(text);
  const [, txid = '', kind, level, minTxid = '', size, header = ''] = match ?? [];
  if (match === null) return 'unreadable';
  try {
    return {
      txid: parseTxid(txid),
      isRebase: kind === 'rebase',
      level: Number(level),
      minTxid: parseTxid(minTxid),
      size: Number(size),
      header: decodeHeader(Buffer.from(header, 'hex')),
    };
  } catch {
    // Not the header of an LTX file, so it says nothing about the copy.
    return 'unreadable';
  }
}

/** What a copy holds according to the files beside it: `position`, or `target` if it is set. */
export type RecordedPosition =
  | { readonly position: TXID; readonly target: TargetRecord | undefined; readonly reason: undefined }
  /** Not known; `reason` says why. */
  | { readonly position: undefined; readonly target: undefined; readonly reason: string };

/** Inside the copy's lock. Rejects with `DATABASE_INVALID` for a `-txid` file that holds no TXID. */
export async function readRecordedPosition(path: string): Promise<RecordedPosition> {
  const unknown = (reason: string): RecordedPosition => ({ position: undefined, target: undefined, reason });
  const position = await readSidecar(path);
  const target = await readTargetRecord(path);
  if (position === undefined) return unknown('the -txid file of the copy is gone');
  if (target === 'unreadable') return unknown('the -txid-target file of the copy is damaged');
  if (target?.isRebase === true && target.txid !== position) return unknown('a comparison was not finished');
  // An older target was written before another program advanced the copy.
  return { position, target: target !== undefined && target.txid >= position ? target : undefined, reason: undefined };
}

/** Durable and all or nothing. */
export async function writeTargetRecord(path: string, record: TargetRecord): Promise<void> {
  const { txid, isRebase, level, minTxid, size, header } = record;
  const fields = [formatTxid(txid), isRebase ? 'rebase' : 'extend', level, formatTxid(minTxid), size];
  const text = `${fields.join(' ')} ${Buffer.from(encodeHeader(header)).toString('hex')}\n`;
  await writeBeside(targetRecordPath(path), text);
}

/** Removes the files of a follower beside a copy: they say nothing about another database in its place. */
export async function removeSidecars(path: string): Promise<void> {
  await rm(sidecarPath(path), { force: true });
  await rm(targetRecordPath(path), { force: true });
}

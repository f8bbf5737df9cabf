/**
 * The `-txid-target` file beside a copy: the last transaction that was about to be entered into it, and the file of the
 * replica that ends there. Written before the copy changes, while `-txid` is written afterwards: where the two differ, the
 * copy holds either. Once they agree, it tells from which file the copy goes on. Upstream does not look at it.
 */
import { rm } from 'node:fs/promises';
import { decodeHeader, encodeHeader, formatTxid, parseTxid } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../../storage/contract/contract.ts';
import { readBeside, readSidecar, sidecarPath, writeBeside } from './sidecar.ts';

export interface TargetRecord {
  readonly txid: TXID;
  /** The whole database was compared: half-way, the copy is no state that files could continue. */
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
    // No header of a file: whatever it was, it tells nothing of the copy.
    return 'unreadable';
  }
}

/** What the files beside a copy say it holds: `position`, or `target` if that is another one. */
export type RecordedPosition =
  | { readonly position: TXID; readonly target: TargetRecord | undefined; readonly reason: undefined }
  /** They do not say it; why. */
  | { readonly position: undefined; readonly target: undefined; readonly reason: string };

/** Inside the copy's lock. Rejects with `DATABASE_INVALID` for a `-txid` file that holds no TXID. */
export async function readRecordedPosition(path: string): Promise<RecordedPosition> {
  const unknown = (reason: string): RecordedPosition => ({ position: undefined, target: undefined, reason });
  const position = await readSidecar(path);
  const target = await readTargetRecord(path);
  if (position === undefined) return unknown('the -txid file of the copy is gone');
  if (target === 'unreadable') return unknown('the -txid-target file of the copy is damaged');
  if (target?.isRebase === true && target.txid !== position) return unknown('a comparison was not finished');
  // One that is older was written before another program brought the copy further.
  return { position, target: target !== undefined && target.txid >= position ? target : undefined, reason: undefined };
}

/** Durable and all or nothing. */
export async function writeTargetRecord(path: string, record: TargetRecord): Promise<void> {
  const { txid, isRebase, level, minTxid, size, header } = record;
  const fields = [formatTxid(txid), isRebase ? 'rebase' : 'extend', level, formatTxid(minTxid), size];
  const text = `${fields.join(' ')} ${Buffer.from(encodeHeader(header)).toString('hex')}\n`;
  await writeBeside(targetRecordPath(path), text);
}

/** What a follower leaves beside a copy says nothing of another database in its place. */
export async function removeSidecars(path: string): Promise<void> {
  await rm(sidecarPath(path), { force: true });
  await rm(targetRecordPath(path), { force: true });
}

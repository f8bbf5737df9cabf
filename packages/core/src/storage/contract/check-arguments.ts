/** Refuses arguments that no backend can handle, before any request. */
import { LitestreamError } from '../../util/error.ts';
import type { Body, LtxFileRef, LtxFileInfo } from './contract.ts';

const LEVEL_MAX = 9;
const TXID_MAX = 0xffffffffffffffffn;

/** A key is a relative path with forward slashes, and stays below its folder. */
export function checkKey(key: string): void {
  const parts = key.split('/');
  if (key === '' || key.includes('\0') || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw bad(`bad object key ${JSON.stringify(key)}`);
  }
}

export function checkLevel(level: unknown): void {
  if (!Number.isInteger(level) || (level as number) < 0 || (level as number) > LEVEL_MAX) {
    throw bad(`level must be an integer from 0 to ${LEVEL_MAX}, not ${String(level)}`);
  }
}

export function checkFile(file: LtxFileRef): void {
  checkLevel(file.level);
  checkTxid('minTxid', file.minTxid);
  checkTxid('maxTxid', file.maxTxid);
  if (file.minTxid === 0n) throw bad('minTxid must be at least 1');
  if (file.minTxid > file.maxTxid) throw bad('minTxid must not be greater than maxTxid');
}

export function checkTxid(name: string, txid: unknown): void {
  if (typeof txid !== 'bigint' || txid < 0n || txid > TXID_MAX) {
    throw bad(`${name} must be a bigint of 64 bits, not ${String(txid)}`);
  }
}

export function checkRange(range: { offset?: number | undefined; size?: number | undefined }): void {
  for (const name of ['offset', 'size'] as const) {
    const value = range[name];
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 0)) {
      throw bad(`${name} must be a whole number of bytes, not ${String(value)}`);
    }
  }
}

export function checkTimestamp(timestamp: unknown): void {
  if (!(timestamp instanceof Date) || Number.isNaN(timestamp.getTime())) throw bad('timestamp must be a valid Date');
}

export function checkBody(body: Body): void {
  if (typeof body?.open !== 'function') throw bad('body must have open()');
  checkRange({ size: body.size });
  checkRange({ size: body.sizeMax });
}

function bad(message: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT' });
}

/** Size of an object in bytes, as a server reports it. */
export function isSize(size: unknown): boolean {
  return Number.isSafeInteger(size) && Number(size) >= 0;
}

export function isTime(time: unknown): boolean {
  return time instanceof Date && !Number.isNaN(time.getTime());
}

/** A file of a listing, as a server describes it. */
export function isFileInfo({ size, timestamp }: LtxFileInfo): boolean {
  return isSize(size) && isTime(timestamp);
}

/** One LTX file as listings print it, in a table or as JSON. */
import type { LtxFileInfo } from '@litestream/core';
import { formatLtxFilename, formatTxid } from '@litestream/ltx';
import { formatSeconds } from './time.ts';

export interface FileRow {
  readonly level: number;
  readonly name: string;
  readonly min_txid: string;
  readonly max_txid: string;
  /** Bytes. */
  readonly size: number;
  readonly timestamp: string;
}

export function fileRow(file: LtxFileInfo): FileRow {
  return {
    level: file.level,
    name: formatLtxFilename(file.minTxid, file.maxTxid),
    min_txid: formatTxid(file.minTxid),
    max_txid: formatTxid(file.maxTxid),
    size: file.size,
    timestamp: formatSeconds(file.timestamp),
  };
}

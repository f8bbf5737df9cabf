import { HEADER_FLAG_NO_CHECKSUM } from '../format/constants.ts';
import { LtxError } from '../format/error.ts';
import type { MergedExtension } from '../format/extension.ts';
import { isChained } from '../format/header.ts';
import type { LtxHeader } from '../format/header.ts';
import { formatTxid } from '../format/txid.ts';

/**
 * The header of a merge of files with these headers, in order. Throws `LtxError` (`NOT_CONTIGUOUS`) if page sizes
 * differ or transactions are missing, and (`CHECKSUM_MISMATCH`) if a file states that it starts from another database
 * than the one before it leaves. Files may overlap if each ends at a higher TXID than the one before it.
 */
export function mergedHeader(
  headers: readonly LtxHeader[],
  files: readonly (string | undefined)[],
  override: Partial<LtxHeader>,
): LtxHeader {
  const [first] = headers;
  const last = headers.at(-1);
  if (first === undefined || last === undefined) throw new LtxError('INVALID_ARGUMENT', 'a merge needs an input');
  let previous = first;
  for (const [i, header] of headers.entries()) {
    if (i === 0) continue;
    const file = files[i];
    if (header.pageSize !== previous.pageSize) {
      const what = `page size ${header.pageSize} after a file with ${previous.pageSize}`;
      throw new LtxError('NOT_CONTIGUOUS', what, { file });
    }
    if (header.minTxid > previous.maxTxid + 1n || header.maxTxid <= previous.maxTxid) {
      const what = `transactions ${range(header)} do not follow on ${range(previous)}`;
      throw new LtxError('NOT_CONTIGUOUS', what, { file });
    }
    if (!isChained(previous, header)) {
      throw new LtxError('CHECKSUM_MISMATCH', 'starts from another database than the file before it leaves', { file });
    }
    previous = header;
  }
  const flags = override.flags ?? HEADER_FLAG_NO_CHECKSUM;
  const extension = mergedExtension(headers, first, last);
  return {
    flags,
    pageSize: first.pageSize,
    commit: last.commit,
    minTxid: first.minTxid,
    maxTxid: last.maxTxid,
    // Files of other programs may have falling times, if the clock was set back: no transaction may be later than the
    // merged time.
    timestampMs: headers.reduce((max, header) => Math.max(max, header.timestampMs), last.timestampMs),
    preApplyChecksum: flags === HEADER_FLAG_NO_CHECKSUM ? 0n : first.preApplyChecksum,
    // A merge has no single position in a WAL, and no single node.
    walOffset: 0,
    walSize: 0,
    salt1: 0,
    salt2: 0,
    nodeId: 0n,
    extension,
    ...override,
  };
}

/** Spans all files; for files of other programs, the header's time is the earliest known. */
function mergedExtension(headers: readonly LtxHeader[], first: LtxHeader, last: LtxHeader): MergedExtension {
  const earliestMs = headers.reduce(
    (min, header) => Math.min(min, header.extension?.createdAtMs ?? header.timestampMs),
    Number.POSITIVE_INFINITY,
  );
  return {
    createdAtMs: Math.max(0, earliestMs),
    databaseChecksum: last.extension?.databaseChecksum ?? 0n,
    previousChecksumHigh: first.extension?.previousChecksumHigh ?? 0,
  };
}

function range(header: LtxHeader): string {
  return `${formatTxid(header.minTxid)}-${formatTxid(header.maxTxid)}`;
}

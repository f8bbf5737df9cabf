/** Reads all pages of a state of the database, to find those that differ from the ledger. */
import { kernel } from '@litestream/ltx';
import type { PageList, PageScan } from '../../pages/page-source.ts';
import { PageReader } from '../../pages/page-source.ts';
import type { Steps } from '../../util/cooperative.ts';
import { sumInWorkers } from './write-job.ts';
import type { PageLedger } from '../../pages/page-ledger.ts';

const BATCH_SIZE = 1 << 20;
/** From this many bytes of pages on, a worker reads them. Reading fewer is faster than starting a worker. */
const WORKER_SIZE_MIN = 8 << 20;

/** The pages of the list that differ from the ledger, and page 1, because every file needs a page. */
export function* listDiffering(ledger: PageLedger, scan: PageScan): Steps<PageList> {
  const { pgnos, walOffsets } = scan.list;
  const checksums = new BigUint64Array(new SharedArrayBuffer(8 * pgnos.length));
  yield* sumPages(scan, checksums);
  const found = ledger.differing(pgnos, checksums);
  const indexes = found[0] === 0 ? found : Uint32Array.of(0, ...found);
  return {
    pgnos: indexes.map((index) => pgnos[index] as number),
    walOffsets: Float64Array.from(indexes, (index) => walOffsets[index] as number),
  };
}

/** Fills in the checksum of each page of the list. */
export function* sumPages(scan: PageScan, checksums: BigUint64Array): Steps<void> {
  const size = scan.list.pgnos.length * scan.source.pageSize;
  if (size < WORKER_SIZE_MIN) sumPagesNow(scan, checksums);
  else {
    yield {
      now: () => sumPagesNow(scan, checksums),
      cooperatively: (signal) => sumInWorkers({ scan, checksums }, signal),
    };
  }
}

/** Throws `WalRestartedError` where `PageReader` does. */
export function sumPagesNow({ source, list }: PageScan, checksums: BigUint64Array): void {
  const { pageSize } = source;
  const { pgnos } = list;
  const batchPages = Math.max(1, Math.floor(BATCH_SIZE / pageSize));
  const reader = new PageReader(source);
  const buffer = new Uint8Array(Math.min(batchPages, pgnos.length) * pageSize);
  for (let start = 0; start < pgnos.length; start += batchPages) {
    const end = Math.min(start + batchPages, pgnos.length);
    const pages = buffer.subarray(0, (end - start) * pageSize);
    reader.read(list, start, end, pages);
    checksums.set(kernel().pageHashes(pgnos.subarray(start, end), pages, pageSize), start);
  }
}

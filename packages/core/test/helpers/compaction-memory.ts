/**
 * Compacts big files of pages that cannot be compressed, and prints the most memory that this took. A process of its own,
 * because memory is counted by process. Argument: `streamed`, for inputs that come over a network, or a folder for files.
 */
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { formatLtxFilename, LtxEncoder, newHeader, verifyLtx } from '@litestream/ltx';
import type { LtxFileInfo, ReplicaClient } from '../../src/storage/contract/contract.ts';
import { FileClient } from '../../src/storage/file/file-client.ts';
import { Compactor } from '../../src/compaction/compactor.ts';

const PAGE_SIZE = 4096;
const PAGES = 32_000;
const FILES = 3;
const BATCH = 64;

const batch = new Uint8Array(BATCH * PAGE_SIZE);
crypto.getRandomValues(batch.subarray(0, 65_536));
for (let at = 65_536; at < batch.length; at += 65_536) batch.copyWithin(at, 0, 65_536);

function* encode(file: number): Generator<Uint8Array> {
  const txid = BigInt(file + 1);
  const encoder = new LtxEncoder(newHeader({ pageSize: PAGE_SIZE, commit: PAGES, minTxid: txid, maxTxid: txid }));
  yield encoder.begin().slice();
  // Of all but the first file every other batch, so that frames of all of them stay.
  for (let first = 1, n = 0; first <= PAGES; first += BATCH, n += 1) {
    if (file > 0 && n % FILES !== file) continue;
    const pgnos = Array.from({ length: Math.min(BATCH, PAGES - first + 1) }, (_, i) => first + i);
    yield encoder.encodePages(pgnos, batch.subarray(0, pgnos.length * PAGE_SIZE)).slice();
  }
  yield encoder.finish().slice();
}

function sizeOf(file: number): number {
  let size = 0;
  for (const chunk of encode(file)) size += chunk.length;
  return size;
}

const infos: readonly LtxFileInfo[] = Array.from({ length: FILES }, (_, file) => {
  const txid = BigInt(file + 1);
  return { level: 0, minTxid: txid, maxTxid: txid, size: sizeOf(file), timestamp: new Date() };
});

/** Holds no byte: what is read is made anew, and what is written is verified and forgotten. */
function streamed(): ReplicaClient {
  const refuse = (): never => {
    throw new Error('not needed for a compaction');
  };
  return {
    type: 'streamed',
    capabilities: {},
    init: async () => undefined,
    ltxFiles: (level) => Readable.from(level === 0 ? infos : []),
    openLtxFile: async ({ minTxid }) => Readable.from(encode(Number(minTxid) - 1)),
    writeLtxFile: async (file, body) => ({ ...file, size: (await verifyLtx(body.open())).size }),
    deleteLtxFiles: refuse,
    deleteAll: refuse,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function files(path: string): Promise<ReplicaClient> {
  mkdirSync(join(path, 'ltx/0'), { recursive: true });
  for (const [file, { minTxid, maxTxid }] of infos.entries()) {
    const target = createWriteStream(join(path, 'ltx/0', formatLtxFilename(minTxid, maxTxid)));
    await pipeline(Readable.from(encode(file)), target);
  }
  return new FileClient({ path });
}

const [where = 'streamed'] = process.argv.slice(2);
const client = where === 'streamed' ? streamed() : await files(where);
const rssBefore = process.memoryUsage().rss;
const written = await new Compactor(client).compact(1);
console.log(
  JSON.stringify({
    inputSize: infos.reduce((sum, { size }) => sum + size, 0),
    outputSize: written[0]?.size,
    rssBefore,
    rssMax: process.resourceUsage().maxRSS * 1024,
  }),
);

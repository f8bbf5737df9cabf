/** Header, page index and trailer of a file, read without its pages. */
import { decodeHeader, formatTxid, HEADER_SIZE, kernel, PAGE_HEADER_SIZE, TRAILER_SIZE } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { FrameRange, RangeLimits } from './index-reader.ts';
import { readFrameRanges } from './index-reader.ts';
import { corrupt, fault } from './ltx-errors.ts';
import { WHOLE_SIZE_MAX_REMOTE } from './ltx-source.ts';
import type { LtxSource } from './ltx-source.ts';

/** Bytes of the size field behind the page index. */
const INDEX_SIZE_SIZE = 8;
/** Zero header, empty index with its size, trailer: no file is shorter than this after its header. */
const TAIL_SIZE_MIN = PAGE_HEADER_SIZE + 1 + INDEX_SIZE_SIZE + TRAILER_SIZE;
/** Bytes that are read from the end of a file first; they hold the index of about 7,000 pages. */
const TAIL_SIZE = 64 << 10;
/** As `WHOLE_SIZE_MAX_REMOTE`, for local files. */
const WHOLE_SIZE_MAX = 256 << 10;
const INDEX_CHUNK_SIZE = 1 << 20;

export interface LtxOutline {
  readonly source: LtxSource;
  readonly header: LtxHeader;
  readonly headerCrc: bigint;
  readonly postApplyChecksum: bigint;
  readonly fileChecksum: bigint;
  /** Offset of the zero header that ends the frames. */
  readonly pagesEnd: number;
  /** The file from `tailOffset` to its end. */
  readonly tail: Uint8Array<ArrayBuffer>;
  readonly tailOffset: number;
}

/** Reads the head and the tail of a file and checks them against each other and against the listing. */
export async function readOutline(source: LtxSource): Promise<LtxOutline> {
  const { name, size } = source;
  if (size < HEADER_SIZE + TAIL_SIZE_MIN)
    throw corrupt(name, `is truncated: ${size} bytes are too few for an LTX file`);
  const isWhole = size <= (source.path === undefined ? WHOLE_SIZE_MAX_REMOTE : WHOLE_SIZE_MAX);
  const tailOffset = isWhole ? 0 : size - TAIL_SIZE;
  const [tail, head] = await Promise.all([
    source.read(tailOffset, size - tailOffset),
    isWhole ? undefined : source.read(0, HEADER_SIZE),
  ]);
  const headerBytes = head ?? tail.subarray(0, HEADER_SIZE);
  const header = readHeader(source, headerBytes);
  const end = new DataView(tail.buffer, tail.byteOffset + tail.length - INDEX_SIZE_SIZE - TRAILER_SIZE);
  const indexSize = end.getBigUint64(0);
  const pagesEnd = size - TRAILER_SIZE - INDEX_SIZE_SIZE - Number(indexSize) - PAGE_HEADER_SIZE;
  if (indexSize === 0n || pagesEnd < HEADER_SIZE) throw corrupt(name, 'its page index is larger than the file');
  return {
    source,
    header,
    headerCrc: kernel().crc64(headerBytes),
    postApplyChecksum: end.getBigUint64(8),
    fileChecksum: end.getBigUint64(16),
    pagesEnd,
    tail,
    tailOffset,
  };
}

function readHeader(source: LtxSource, bytes: Uint8Array): LtxHeader {
  const { info, name } = source;
  let header: LtxHeader;
  try {
    header = decodeHeader(bytes);
  } catch (error) {
    throw fault(name, error);
  }
  if (header.minTxid !== info.minTxid || header.maxTxid !== info.maxTxid) {
    const range = `${formatTxid(header.minTxid)}-${formatTxid(header.maxTxid)}`;
    throw corrupt(name, `its header says that it holds TXIDs ${range}`);
  }
  return header;
}

/** Running CRC of the bytes after the frames that the file checksum covers. */
export interface TailChecksum {
  crc: bigint;
  length: number;
}

/** The file's frames in ranges. `checksum` is complete once the last range has been taken. */
export async function* frameRanges(
  outline: LtxOutline,
  limits: RangeLimits,
  checksum: TailChecksum,
): AsyncGenerator<FrameRange, void, undefined> {
  const { source, pagesEnd } = outline;
  const indexStart = pagesEnd + PAGE_HEADER_SIZE;
  const indexEnd = source.size - TRAILER_SIZE - INDEX_SIZE_SIZE;
  const add = (bytes: Uint8Array): Uint8Array => {
    checksum.crc = kernel().crc64(bytes, checksum.crc);
    checksum.length += bytes.length;
    return bytes;
  };
  const zero = add(await readPart(outline, pagesEnd, PAGE_HEADER_SIZE));
  if (zero.some((byte) => byte !== 0)) throw corrupt(source.name, 'its pages do not end where its page index starts');
  const chunks = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = indexStart; at < indexEnd;) {
      const chunk = add(await readPart(outline, at, Math.min(INDEX_CHUNK_SIZE, indexEnd - at)));
      yield chunk;
      at += chunk.length;
    }
  };
  yield* readFrameRanges(chunks(), { name: source.name, start: HEADER_SIZE, end: pagesEnd }, limits);
  // The last eight bytes, the file checksum itself, are not covered.
  add(await readPart(outline, indexEnd, INDEX_SIZE_SIZE + TRAILER_SIZE - 8));
}

/** Up to `size` bytes from `offset`, from memory if the tail holds them; at least one byte, unless `size` is 0. */
async function readPart(outline: LtxOutline, offset: number, size: number): Promise<Uint8Array> {
  const { tail, tailOffset, source } = outline;
  if (offset >= tailOffset) return tail.subarray(offset - tailOffset, offset - tailOffset + size);
  return source.read(offset, Math.min(size, Math.max(PAGE_HEADER_SIZE, tailOffset - offset)));
}

/** Bytes of the file that are in memory already, or undefined. */
export function inMemory(outline: LtxOutline, offset: number, size: number): Uint8Array<ArrayBuffer> | undefined {
  const from = offset - outline.tailOffset;
  return from < 0 ? undefined : outline.tail.slice(from, from + size);
}

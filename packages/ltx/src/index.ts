export {
  CHECKSUM_FLAG,
  HEADER_FLAG_NO_CHECKSUM,
  HEADER_SIZE,
  PAGE_HEADER_SIZE,
  TRAILER_SIZE,
  lockPageNumber,
} from './constants.ts';
export { LtxDecoder } from './decoder.ts';
export type { LtxDecoderOptions, PageBatch } from './decoder.ts';
export { LtxEncoder } from './encoder.ts';
export { LTX_ERROR_CODES, LtxError, isLtxError } from './error.ts';
export type { LtxErrorCode } from './error.ts';
export type { LtxExtension, MergedExtension, WalExtension } from './extension.ts';
export { decodeHeader, encodeHeader, isChained, newHeader } from './header.ts';
export type { LtxHeader } from './header.ts';
export { kernel } from './kernel/wasm-kernel.ts';
export type { DecodedFrames, EncodedFrames, Kernel, WalFrames } from './kernel/kernel.ts';
export { mergeLtx } from './merge/merge.ts';
export type { MergeInput, MergeOptions } from './merge/merge.ts';
export { PageIndex, decodePageIndex, readPageIndex } from './page-index.ts';
export type { PageIndexEntry, RandomAccess } from './page-index.ts';
export type { LtxTrailer } from './trailer.ts';
export { formatLtxFilename, formatTxid, parseLtxFilename, parseTxid } from './txid.ts';
export type { TXID } from './txid.ts';
export { verifyLtx } from './verify.ts';

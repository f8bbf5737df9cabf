export {
  CHECKSUM_FLAG,
  HEADER_FLAG_NO_CHECKSUM,
  HEADER_SIZE,
  PAGE_HEADER_SIZE,
  TRAILER_SIZE,
  lockPageNumber,
} from './format/constants.ts';
export { LtxDecoder } from './codec/decoder.ts';
export type { LtxDecoderOptions, PageBatch } from './codec/decoder.ts';
export { LtxEncoder } from './codec/encoder.ts';
export { LTX_ERROR_CODES, LtxError, isLtxError } from './format/error.ts';
export type { LtxErrorCode } from './format/error.ts';
export type { LtxExtension, MergedExtension, WalExtension } from './format/extension.ts';
export { decodeHeader, encodeHeader, isChained, newHeader } from './format/header.ts';
export type { LtxHeader } from './format/header.ts';
export { kernel } from './kernel/wasm-kernel.ts';
export type { DecodedFrames, EncodedFrames, Kernel, WalFrames } from './kernel/kernel.ts';
export { mergeLtx } from './merge/merge.ts';
export type { MergeInput, MergeOptions } from './merge/merge.ts';
export { PageIndex, decodePageIndex, readPageIndex } from './format/page-index.ts';
export type { PageIndexEntry, RandomAccess } from './format/page-index.ts';
export type { LtxTrailer } from './format/trailer.ts';
export { formatLtxFilename, formatTxid, parseLtxFilename, parseTxid } from './format/txid.ts';
export type { TXID } from './format/txid.ts';
export { verifyLtx } from './codec/verify.ts';

/** The API for authors of storage clients: docs/guides/write-a-client.md. */
export type {
  Body,
  Capabilities,
  LtxFileBody,
  LtxFileInfo,
  LtxFileRef,
  ObjectInfo,
  ObjectOperations,
  Op,
  ReplicaClient,
  WriteOptions,
} from './storage/contract/contract.ts';
export type { TXID } from '@litestream/ltx';
export { SNAPSHOT_LEVEL } from './storage/contract/levels.ts';
export {
  compareKeys,
  formatObjectTime,
  ltxObjectName,
  parseLtxObjectName,
  parseObjectTime,
  txidText,
} from './storage/contract/object-names.ts';

export { ObjectStoreClient, createObjectStoreClient } from './storage/client-kit/object-store-client.ts';
export type {
  KeyScheme,
  ListPage,
  ListQuery,
  ObjectHead,
  ObjectStore,
  ObjectStoreDefinition,
  PutContent,
  PutOptions,
  StoreCall,
  StoreRange,
  StoredBody,
  StoredObject,
} from './storage/client-kit/object-store.ts';
export { keyBelow, ltxFolder } from './storage/client-kit/object-keys.ts';
export { wholeSize } from './storage/client-kit/content-range.ts';
export { PageTokens } from './storage/client-kit/page-tokens.ts';
export { raceAbort, settleAborted, untilAborted } from './storage/client-kit/sdk-abort.ts';
export { loadSdk } from './storage/client-kit/sdk-load.ts';
export { forEachConcurrent } from './storage/client-kit/sdk-pool.ts';
export { BodyReader, readStream } from './storage/client-kit/sdk-stream.ts';
export type { ReadStreamOptions } from './storage/client-kit/sdk-stream.ts';
export { machineCertificates, trustedCertificates, trustedTls } from './storage/client-kit/trust.ts';

export { LitestreamError, hasCode, isLitestreamError } from './util/error.ts';
export type { LitestreamErrorCode, LitestreamErrorOptions } from './util/error.ts';
export { MALFORMED_ANSWER, isWebPage, malformedAnswer, unreadableAnswer } from './storage/errors/malformed-answer.ts';
export { classifyHttpStatus, classifyNetworkError, httpStatus, safeCause } from './storage/errors/sdk-errors.ts';
export type { ErrorClass } from './storage/errors/sdk-errors.ts';
export { currentClientCall } from './storage/guard/current-call.ts';
export type { ClientCall } from './storage/guard/current-call.ts';
export type { ClientOperation } from './storage/guard/guard-options.ts';

export { ConfigReader } from './plugins/config-reader.ts';
export { definePlugin } from './plugins/plugin.ts';
export type { LitestreamPlugin } from './plugins/plugin.ts';
export type { ReplicaUrl } from './plugins/replica-url.ts';
export { silentLogger } from './util/logger.ts';
export type { LogFields, Logger } from './util/logger.ts';

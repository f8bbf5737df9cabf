import type * as Sdk from '@aws-sdk/client-s3';

import type { S3Settings } from './settings.ts';

/** A connected SDK, with what every operation needs. */
export interface S3Session {
  readonly sdk: typeof Sdk;
  readonly client: Sdk.S3Client;
  readonly settings: S3Settings;
}

export function secretsOf(settings: S3Settings): readonly (string | undefined)[] {
  return [settings.credentials?.secretAccessKey, settings.credentials?.sessionToken, settings.keyParams.SSECustomerKey];
}

/** The SDK accepts a missing signal, but not `undefined`. */
export function sendOptions(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

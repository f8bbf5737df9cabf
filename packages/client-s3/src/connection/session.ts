import type * as Sdk from '@aws-sdk/client-s3';

import { s3Error } from './errors.ts';
import type { S3Settings } from './settings.ts';

/** A connected SDK, with what every operation needs. */
export class S3Session {
  readonly sdk: typeof Sdk;
  readonly client: Sdk.S3Client;
  readonly settings: S3Settings;

  constructor(sdk: typeof Sdk, client: Sdk.S3Client, settings: S3Settings) {
    this.sdk = sdk;
    this.client = client;
    this.settings = settings;
  }

  /** Runs a request, and turns its failure into the error to throw. */
  async run<T>(object: string, signal: AbortSignal | undefined, request: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await request();
    } catch (error) {
      throw this.error(error, object, signal);
    }
  }

  error(error: unknown, object: string, signal?: AbortSignal): unknown {
    return s3Error(error, { object, signal, secrets: secretsOf(this.settings) });
  }

  close(): void {
    this.client.destroy();
  }
}

export function secretsOf(settings: S3Settings): readonly (string | undefined)[] {
  return [settings.credentials?.secretAccessKey, settings.credentials?.sessionToken, settings.keyParams.SSECustomerKey];
}

/** The SDK accepts a missing signal, but not `undefined`. */
export function sendOptions(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

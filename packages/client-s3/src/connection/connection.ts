import { createHash } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import type * as Sdk from '@aws-sdk/client-s3';
import { type Logger, LitestreamError, httpStatus } from '@litestream/core/client';

import { addDebugLog } from './debug.ts';
import { requireProof } from './proof.ts';
import type { S3Settings } from './settings.ts';

/** The part of a request that middleware touches. */
interface Request {
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

/** An SDK client for these settings. Looks up the bucket's region if no setting has it. */
export async function connect(sdk: typeof Sdk, settings: S3Settings, logger: Logger): Promise<Sdk.S3Client> {
  const region = settings.region ?? (settings.endpoint === undefined ? undefined : 'us-east-1');
  if (region !== undefined) return createClient(sdk, settings, region, logger);
  const scout = createClient(sdk, settings, 'us-east-1', logger);
  try {
    return createClient(sdk, settings, await findRegion(sdk, scout, settings.bucket), logger);
  } finally {
    scout.destroy();
  }
}

/** The region that AWS names in the headers of any answer, even of a refusal: this needs no permission. */
async function findRegion(sdk: typeof Sdk, client: Sdk.S3Client, bucket: string): Promise<string> {
  try {
    const found = await client.send(new sdk.HeadBucketCommand({ Bucket: bucket }));
    return found.BucketRegion ?? 'us-east-1';
  } catch (error) {
    const response = (error as { $response?: { headers?: Record<string, string> } }).$response;
    const region = response?.headers?.['x-amz-bucket-region'];
    if (region !== undefined) return region;
    // A refusal of HEAD has no body with a reason. The region is the only part of the request that was guessed.
    if (httpStatus(error) !== 400) throw error;
    throw new LitestreamError(
      `the server did not return the region of bucket ${bucket}, and refused the request for it`,
      {
        code: 'CONFIG_INVALID',
        hint: 'Set region; for a server of your own, endpoint as well.',
        cause: error,
      },
    );
  }
}

function createClient(sdk: typeof Sdk, settings: S3Settings, region: string, logger: Logger): Sdk.S3Client {
  const custom = settings.endpoint !== undefined;
  const agentOptions = {
    keepAlive: true,
    maxSockets: 128,
    timeout: 90_000,
    // Honours HTTP(S)_PROXY and NO_PROXY.
    proxyEnv: process.env,
  };
  const config: Sdk.S3ClientConfig = {
    region,
    forcePathStyle: settings.forcePathStyle,
    useArnRegion: true,
    followRegionRedirects: true,
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: 30_000,
      requestTimeout: 0,
      socketTimeout: 90_000,
      httpAgent: new HttpAgent(agentOptions),
      httpsAgent: new HttpsAgent({ ...agentOptions, ...settings.tls, rejectUnauthorized: !settings.skipVerify }),
    },
    // Compatible servers support neither aws-chunked bodies nor CRC trailers. LTX files have a checksum of their own.
    requestChecksumCalculation: custom ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // If a body is chunked nevertheless, strict servers refuse chunks below 8 KiB.
    requestStreamBufferSize: 64 * 1024,
    customUserAgent: 'litestream',
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    ...(settings.credentials === undefined ? {} : { credentials: settings.credentials }),
  };
  const client = new sdk.S3Client(config);
  addMiddleware(client, settings);
  requireProof(client);
  addDebugLog(client, settings.debug, logger);
  return client;
}

function addMiddleware(client: Sdk.S3Client, settings: S3Settings): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers } = args.request as Request;
      Object.assign(headers, settings.headers);
      // An existing hash is signed unchanged.
      if (!settings.signPayload) headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      return next(args);
    },
    { step: 'build', name: 'litestreamHeaders', priority: 'low' },
  );
  const commands = [
    ...(settings.requireContentMd5 ? ['DeleteObjectsCommand'] : []),
    ...(settings.putObjectContentMd5 ? ['PutObjectCommand'] : []),
  ];
  addContentMd5(client, commands, settings.endpoint !== undefined);
}

/**
 * Batch deletes must carry a digest, and so must objects in buckets with Object Lock. Many compatible servers support only
 * MD5, so MD5 replaces the SDK's CRC.
 */
function addContentMd5(client: Sdk.S3Client, commands: readonly string[], custom: boolean): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const { headers, body } = args.request as Request;
      const isWanted = commands.includes(context.commandName ?? '');
      if (isWanted && (typeof body === 'string' || body instanceof Uint8Array)) {
        headers['content-md5'] = createHash('md5').update(body).digest('base64');
        if (custom) {
          for (const name of Object.keys(headers)) {
            if (/^x-amz-(checksum-|sdk-checksum-)/i.test(name)) delete headers[name];
          }
        }
      }
      return next(args);
    },
    // After the SDK's own checksum, before the signature.
    { step: 'build', name: 'litestreamContentMd5', priority: 'low' },
  );
}

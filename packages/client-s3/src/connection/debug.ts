import type { S3Client } from '@aws-sdk/client-s3';
import type { Logger } from '@litestream/core/client';

/** Values of `LITESTREAM_S3_DEBUG`, separated by commas. Of bodies, only the size is logged: they are user data. */
const MODES = ['signing', 'request', 'request-with-body', 'response', 'response-with-body', 'retries'] as const;
type Mode = (typeof MODES)[number];

/** Headers with credentials, which must not be logged. */
const SECRET = /^(authorization|x-amz-security-token|x-amz-server-side-encryption-customer-key(-md5)?)$/i;

/** Logs requests and answers as `LITESTREAM_S3_DEBUG` asks for; never a credential. */
export function addDebugLog(client: S3Client, text: string | undefined, logger: Logger): void {
  const modes = parseModes(text, logger);
  if (modes.size === 0) return;
  const any = (...names: readonly Mode[]): boolean => names.some((name) => modes.has(name));
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const { method, hostname, path, query, headers, body } = args.request as Request;
      const signed = /SignedHeaders=([^,]+)/.exec(headers['authorization'] ?? '')?.[1];
      const operation = context.commandName;
      if (modes.has('signing')) logger.info('s3 signing', { operation, signed_headers: signed });
      if (any('request', 'request-with-body')) {
        const size = modes.has('request-with-body') ? { size: sizeOf(body) } : {};
        logger.info('s3 request', { operation, method, host: hostname, path, query, headers: shown(headers), ...size });
      }
      const result = await next(args);
      const response = result.response as { statusCode?: number; headers?: Record<string, string> };
      if (any('response', 'response-with-body')) {
        const fields = { operation, status: response.statusCode, headers: shown(response.headers ?? {}) };
        logger.info('s3 response', fields);
      }
      return result;
    },
    // After the signature, around the request itself.
    { step: 'deserialize', name: 'litestreamDebug', priority: 'low' },
  );
  if (modes.has('retries')) {
    client.middlewareStack.add(
      (next, context) => async (args) => {
        const result = await next(args);
        const { attempts = 1, totalRetryDelay } = (result.output as { $metadata?: Metadata }).$metadata ?? {};
        if (attempts > 1) {
          logger.info('s3 retries', { operation: context.commandName, attempts, delay_ms: totalRetryDelay });
        }
        return result;
      },
      { step: 'initialize', name: 'litestreamDebugRetries', priority: 'low' },
    );
  }
}

interface Request {
  readonly method: string;
  readonly hostname: string;
  readonly path: string;
  readonly query: unknown;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface Metadata {
  readonly attempts?: number;
  readonly totalRetryDelay?: number;
}

function parseModes(text: string | undefined, logger: Logger): ReadonlySet<Mode> {
  const modes = new Set<Mode>();
  for (const part of (text ?? '').split(',')) {
    const name = part.trim().toLowerCase();
    const mode = MODES.find((one) => one === name);
    if (mode !== undefined) modes.add(mode);
    else if (name === 'all') for (const one of MODES) modes.add(one);
    else if (name !== '') {
      logger.warn(`unknown LITESTREAM_S3_DEBUG value, expected: ${MODES.join(', ')}, all`, { value: name });
    }
  }
  return modes;
}

function shown(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, SECRET.test(name) ? '[redacted]' : value]),
  );
}

function sizeOf(body: unknown): number | undefined {
  if (typeof body === 'string') return Buffer.byteLength(body);
  return body instanceof Uint8Array ? body.byteLength : undefined;
}

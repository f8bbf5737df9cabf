/** Sends requests to a running daemon over its control socket. The daemon may be Litestream (Go). */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { UsageError } from '../util/usage-error.ts';
import { goJson } from './go-json.ts';

export interface ControlRequest {
  readonly socket: string;
  /** Name for messages: `info`, `start`, … */
  readonly name: string;
  readonly path: string;
  /** Makes the request a POST; without a body it is a GET. */
  readonly body?: object;
  /** 0: no limit. */
  readonly timeoutSeconds: number;
}

/** Resolves to the answer, which is not validated. Rejects with the error messages of Litestream (Go). */
export async function askDaemon<Answer>(options: ControlRequest): Promise<Answer> {
  const { name } = options;
  const { status, body } = await exchange(options);
  if (status !== 200) throw new Error(`${name} failed: ${errorIn(body) ?? body.trimEnd()}`);
  try {
    // A TXID may exceed 2^53, so it is read from its digits.
    return JSON.parse(body, (key, value: unknown, context?: { source?: string }) =>
      key.endsWith('txid') && typeof value === 'number' ? BigInt(context?.source ?? value) : value,
    ) as Answer;
  } catch (cause) {
    throw new Error('failed to parse response', { cause });
  }
}

function exchange({ socket, path, body, timeoutSeconds }: ControlRequest): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const content = body === undefined ? undefined : goJson(body).trimEnd();
  const headers =
    content === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(content) };
  const outgoing = request({
    socketPath: socket,
    path,
    method: content === undefined ? 'GET' : 'POST',
    headers: { Host: 'localhost', ...headers },
    agent: false,
  });
  const timer =
    timeoutSeconds > 0
      ? setTimeout(() => outgoing.destroy(new Error(`no answer within ${timeoutSeconds}s`)), timeoutSeconds * 1000)
      : undefined;
  outgoing.once('error', (error) => reject(connectError(socket, error)));
  outgoing.once('response', (response) => {
    text(response).then(
      (answer) => resolve({ status: response.statusCode ?? 0, body: answer }),
      (cause: unknown) => reject(new Error('failed to read response', { cause })),
    );
  });
  outgoing.end(content);
  return promise.finally(() => clearTimeout(timer));
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ECONNREFUSED: 'connection refused',
  EACCES: 'permission denied',
  ENOTDIR: 'not a directory',
  EINVAL: 'path too long for a socket',
};

function connectError(socket: string, error: NodeJS.ErrnoException): Error {
  const reason = REASONS[error.code ?? ''];
  if (reason === undefined) return new Error(`failed to connect to control socket: ${error.message}`);
  const what = `failed to connect to control socket: dial unix ${socket}: connect: ${reason}`;
  if (error.code === 'EACCES') return new Error(what);
  return new UsageError(
    what,
    'start litestream replicate with `socket: {enabled: true}` in its config, and name another socket path with -socket',
  );
}

function errorIn(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === 'string' && error !== '' ? error : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

import { once } from 'node:events';
import { type Socket, connect as dial, isIP } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

import { LitestreamError } from '@litestream/core/client';

/** How long to wait for the refusal of a server. */
const PATIENCE_MS = 2_000;
const PORT = 4222;

/**
 * Finds out why a server does not accept the client's certificate, or its absence, after the SDK timed out. Under TLS 1.3 the
 * server refuses after the handshake, when the SDK no longer listens, so this connects again to read the refusal.
 *
 * @returns undefined if the certificate was not the problem
 */
export async function certificateRefusal(server: string, tls: ConnectionOptions): Promise<LitestreamError | undefined> {
  const { hostname, port } = new URL(server.includes('://') ? server : `nats://${server}`);
  const host = hostname.replace(/^\[|\]$/g, '');
  const plain = quiet(dial(port === '' ? PORT : Number(port), host));
  const deadline = AbortSignal.timeout(PATIENCE_MS);
  try {
    const info = await greeting(plain, deadline);
    if (info['tls_verify'] !== true) return undefined;
    const secured = quiet(connectTls({ ...tls, socket: plain, ...(isIP(host) === 0 ? { servername: host } : {}) }));
    await once(secured, 'end', { signal: deadline });
    return undefined;
  } catch (error) {
    return /_ALERT_/.test(String((error as { code?: unknown }).code))
      ? refusal(tls.cert !== undefined, error)
      : undefined;
  } finally {
    plain.destroy();
  }
}

/** Ignores later errors: an unhandled one would end the process. */
function quiet<T extends Socket>(socket: T): T {
  socket.on('error', () => undefined);
  return socket;
}

/** The first line of a server: `INFO` and JSON. */
async function greeting(socket: Socket, signal: AbortSignal): Promise<Record<string, unknown>> {
  const [first] = (await once(socket, 'data', { signal })) as [Buffer];
  const [, json = '{}'] = /^INFO (\{.*\})/.exec(first.toString()) ?? [];
  return JSON.parse(json) as Record<string, unknown>;
}

function refusal(gave: boolean, cause: unknown): LitestreamError {
  const message = gave
    ? 'the NATS server does not accept the certificate of this client'
    : 'the NATS server requires a certificate from its clients';
  const hint = gave
    ? 'Check client-cert and client-key: signed by an authority the server knows, not expired, made for clients.'
    : 'Set client-cert and client-key.';
  return new LitestreamError(message, { code: 'CONFIG_INVALID', backend: 'nats', hint, cause });
}

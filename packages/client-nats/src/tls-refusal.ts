import { once } from 'node:events';
import { type Socket, connect as dial, isIP } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

import { LitestreamError } from '@litestream/core';

/** How long a server is listened to. */
const PATIENCE_MS = 2_000;
const PORT = 4222;

/**
 * Why a server that let the SDK wait in vain does not take a client's certificate, or the lack of one. Under TLS 1.3 it
 * says so after the handshake, where the SDK listens no more, so the connection is made once again to hear it.
 *
 * @returns undefined if that is not what was wrong
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

/** An error that nobody waits for any more would end the program. */
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
    ? 'the NATS server does not take the certificate of this client'
    : 'the NATS server wants a certificate of its clients';
  const hint = gave
    ? 'Check client-cert and client-key: signed by an authority the server knows, not expired, made for clients.'
    : 'Set client-cert and client-key.';
  return new LitestreamError(message, { code: 'CONFIG_INVALID', backend: 'nats', hint, cause });
}

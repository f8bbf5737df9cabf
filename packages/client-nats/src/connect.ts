import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { LitestreamError, trustedCertificates } from '@litestream/core/client';
import type * as transport from '@nats-io/transport-node';
import type { Authenticator, NatsConnection } from '@nats-io/transport-node';

import { DEFAULT_URL, RECONNECT_WAIT_MS, TIMEOUT_MS } from './options.ts';
import type { NatsOptions } from './options.ts';
import { certificateRefusal } from './tls-refusal.ts';

type Sdk = typeof transport;

/** Logs in to the first server that answers. */
export async function connect(sdk: Sdk, options: NatsOptions): Promise<NatsConnection> {
  const { url = DEFAULT_URL } = options;
  const authenticator = await authenticatorOf(sdk, options);
  const tls = await tlsOf(options);
  const servers = typeof url === 'string' ? url.split(',') : [...url];
  const attempt = (withTls: typeof tls): Promise<NatsConnection> =>
    sdk.connect({
      servers,
      name: 'litestream',
      maxReconnectAttempts: options.maxReconnects ?? -1,
      reconnectTimeWait: options.reconnectWaitMs ?? RECONNECT_WAIT_MS,
      timeout: options.timeoutMs ?? TIMEOUT_MS,
      ...(authenticator === undefined ? {} : { authenticator }),
      ...(withTls === undefined ? {} : { tls: withTls }),
    });
  try {
    return await attempt(tls).catch(async (error: unknown) => {
      // The server requires TLS. Perhaps only the machine trusts its authority.
      const ca = tls === undefined && isUntrusted(error) ? trustedCertificates(options.env) : undefined;
      if (ca === undefined) throw error;
      return await attempt({ ca: ca.join('\n') });
    });
  } catch (error) {
    const [server] = servers;
    const silent = error instanceof Error && error.name === 'TimeoutError' && server !== undefined;
    throw (silent ? await certificateRefusal(server, tls ?? {}) : undefined) ?? error;
  }
}

/** The first configured login, in the order of Litestream (Go). */
async function authenticatorOf(sdk: Sdk, options: NatsOptions): Promise<Authenticator | undefined> {
  const { jwt, seed, creds, nkey, username, password, token } = options;
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text.trim());
  if (isSet(jwt) && isSet(seed)) return tried(sdk.jwtAuthenticator(jwt, encode(seed)), 'seed');
  if (isSet(creds)) return tried(sdk.credsAuthenticator(await read(creds, 'creds')), 'creds');
  if (isSet(seed)) return tried(sdk.nkeyAuthenticator(encode(seed)), 'seed');
  if (isSet(nkey)) {
    return tried(sdk.nkeyAuthenticator(/^SU[A-Z2-7]+$/.test(nkey) ? encode(nkey) : await seedFile(nkey)), 'nkey');
  }
  if (isSet(username)) return sdk.usernamePasswordAuthenticator(username, password ?? '');
  if (isSet(token)) return sdk.tokenAuthenticator(token);
  return undefined;
}

/** The SDK parses keys only when the server asks for a signature. Parsed here, a bad key is reported with its field. */
function tried(authenticator: Authenticator, field: 'creds' | 'nkey' | 'seed'): Authenticator {
  try {
    authenticator('challenge');
    return authenticator;
  } catch {
    // The reason may quote the secret.
    const hint =
      field === 'creds' ? 'It must hold a JWT and a seed, as nsc prints them.' : 'A user’s seed begins with SU.';
    throw invalid(`cannot parse ${field} of the nats replica`, hint);
  }
}

async function seedFile(nkey: string): Promise<Uint8Array> {
  // A public key alone cannot sign.
  if (/^U[A-Z2-7]{55}$/.test(nkey)) throw invalid('nkey of the nats replica needs its seed', 'Set seed: SU…');
  const text = new TextDecoder().decode(await read(nkey, 'nkey'));
  return new TextEncoder().encode(/SU[A-Z2-7]+/.exec(text)?.[0] ?? text.trim());
}

/** Reads the certificates here, so that the error for a missing file names its field. */
async function tlsOf(options: NatsOptions): Promise<{ ca?: string; cert?: string; key?: string } | undefined> {
  const { tls, rootCas = [], clientCert, clientKey } = options;
  if (isSet(clientCert) !== isSet(clientKey)) {
    throw invalid('client-cert and client-key must both be specified for mutual TLS authentication');
  }
  if (tls !== true && rootCas.length === 0 && !isSet(clientCert)) return undefined;
  const text = async (path: string, field: string): Promise<string> => (await read(path, field)).toString('utf8');
  const cas = await Promise.all(rootCas.map((path) => text(path, 'root-cas')));
  const ca = cas.length > 0 ? cas : trustedCertificates(options.env);
  return {
    ...(ca === undefined ? {} : { ca: ca.join('\n') }),
    ...(isSet(clientCert) ? { cert: await text(clientCert, 'client-cert') } : {}),
    ...(isSet(clientKey) ? { key: await text(clientKey, 'client-key') } : {}),
  };
}

/** Whether TLS did not trust the server. The SDK throws the error of TLS as it is, or wraps it. */
function isUntrusted(error: unknown): boolean {
  const { code, message, cause } = (error ?? {}) as { code?: unknown; message?: unknown; cause?: unknown };
  if (/^(?:SELF_SIGNED_CERT|DEPTH_ZERO_SELF|UNABLE_TO_)/.test(String(code))) return true;
  return (
    /self.signed certificate|unable to (?:get|verify)/i.test(String(message)) || (cause != null && isUntrusted(cause))
  );
}

async function read(path: string, field: string): Promise<Buffer> {
  try {
    return await readFile(path.startsWith('~/') ? join(homedir(), path.slice(2)) : path);
  } catch (error) {
    throw invalid(`cannot read ${field} of the nats replica`, 'Check the path, and that this user may read it.', error);
  }
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

function invalid(message: string, hint?: string, cause?: unknown): LitestreamError {
  return new LitestreamError(message, { code: 'CONFIG_INVALID', backend: 'nats', hint, cause });
}

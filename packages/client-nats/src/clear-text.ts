/** Finds an unencrypted connection, on which others on the network can read commits and logins, and warns about it. */
import { isIPv4 } from 'node:net';

import type { Logger } from '@litestream/core/client';

import type { NatsOptions } from './options.ts';

/** Servers with a warning: once for each server and process, for any number of databases. */
const warned = new Set<string>();

export interface Connected {
  /** `host:port`, as the SDK names it. */
  getServer(): string;
  readonly info?: { readonly tls_required?: boolean; readonly tls_available?: boolean } | undefined;
}

export function warnInClear(connection: Connected, options: NatsOptions, logger: Logger): void {
  const server = connection.getServer();
  if (warned.has(server) || !isInClear(connection, options)) return;
  warned.add(server);
  logger.warn('the connection to the NATS server is not encrypted', {
    server,
    hint: 'Set tls: true, and turn TLS on in the server.',
  });
}

/** Whether the connection leaves this machine without TLS. */
function isInClear(connection: Connected, { tls, rootCas = [], clientCert }: NatsOptions): boolean {
  const [, host = ''] = /^(?:\w+:\/\/)?\[?(.*?)\]?(?::\d+)?$/.exec(connection.getServer()) ?? [];
  if (host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))) return false;
  const { tls_required: required, tls_available: available } = connection.info ?? {};
  // The SDK uses TLS if the server offers it.
  return required !== true && available !== true && tls !== true && rootCas.length === 0 && clientCert === undefined;
}

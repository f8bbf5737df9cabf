/** A connection that others on the way can read, commits of databases and logins included. */
import { isIPv4 } from 'node:net';

import type { Logger } from '@litestream/core';

import type { NatsOptions } from './options.ts';

/** Said once a server and process, however many databases go there. */
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
    hint: 'Set tls: true, and TLS on the server.',
  });
}

/** The server asks for TLS, or the client does; what stays on this machine needs none. */
function isInClear(connection: Connected, { tls, rootCas = [], clientCert }: NatsOptions): boolean {
  const [, host = ''] = /^(?:\w+:\/\/)?\[?(.*?)\]?(?::\d+)?$/.exec(connection.getServer()) ?? [];
  if (host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))) return false;
  const { tls_required: required, tls_available: available } = connection.info ?? {};
  // The SDK takes TLS wherever it is offered.
  return required !== true && available !== true && tls !== true && rootCas.length === 0 && clientCert === undefined;
}

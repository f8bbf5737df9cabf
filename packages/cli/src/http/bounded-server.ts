/** An HTTP server that half-open connections, slow headers and endless keep-alives cannot exhaust. */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { ConnectionLimit } from './connection-limit.ts';

/** The most descriptors that clients can use at a time; databases need the others. */
const CONNECTIONS_MAX = 64;

export interface ServerBounds {
  /** How long a connection may be idle in both directions while a request is answered. 0, the default: no limit. */
  readonly idleTimeoutMs?: number | undefined;
  /** If all connections are open, a new one replaces a connection whose client has not read the answer for a second. */
  readonly endsSlowAnswers?: boolean | undefined;
}

export function boundedServer(
  listener: RequestListener,
  { idleTimeoutMs = 0, endsSlowAnswers = false }: ServerBounds = {},
): Server {
  const limit = new ConnectionLimit(CONNECTIONS_MAX, endsSlowAnswers);
  const server = createServer(
    {
      // The time counts from the connection, so that a silent connection is closed, too.
      headersTimeout: 5000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16 << 10,
    },
    (request, response) => {
      if (limit.admits(request.socket, response)) listener(request, response);
    },
  );
  server.on('connection', (socket) => limit.add(socket));
  // Connections that are being closed count here, too.
  server.maxConnections = 2 * CONNECTIONS_MAX;
  server.timeout = idleTimeoutMs;
  return server;
}

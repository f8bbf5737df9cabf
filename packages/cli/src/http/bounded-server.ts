/** An HTTP server that half-open connections, slow headers and endless keep-alives cannot exhaust. */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';

/** Descriptors that clients can use at a time; databases need the others. */
const CONNECTIONS_MAX = 64;

export interface ServerBounds {
  /** How long a connection may be idle in both directions while a request is answered. 0, the default: no limit. */
  readonly idleTimeoutMs?: number | undefined;
}

export function boundedServer(listener: RequestListener, { idleTimeoutMs = 0 }: ServerBounds = {}): Server {
  const server = createServer(
    {
      // Counted from the connection on, so that one that sends nothing is closed, too.
      headersTimeout: 5000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16 << 10,
    },
    listener,
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.timeout = idleTimeoutMs;
  return server;
}

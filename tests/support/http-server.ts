import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';

/**
 * A server for tests. It keeps idle connections open until they are closed.
 *
 * By itself, Node closes them after 5 s. If the machine stops the process of a test for longer, its client sends the next
 * request on a connection that the server is about to close, and the request fails.
 */
export function httpServer(listener?: RequestListener): Server {
  const server = createServer(listener);
  server.keepAliveTimeout = 0;
  return server;
}

import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';

/**
 * Makes an HTTP server for tests. The server keeps idle connections open until the client closes them.
 *
 * By default, Node closes them after 5 s. If the machine pauses the process of a test for longer, the client sends its next request on
 * a connection that the server is about to close, and the request fails.
 */
export function httpServer(listener?: RequestListener): Server {
  const server = createServer(listener);
  server.keepAliveTimeout = 0;
  return server;
}

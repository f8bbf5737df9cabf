import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** If answers are short, a connection counts as idle when its client has not read the answer for this long. */
const UNREAD_MS_MAX = 1000;
/**
 * Requests that a client sends without waiting for an answer. The server computes each answer, whether or not the client reads
 * it.
 */
const REQUESTS_AT_ONCE_MAX = 4;

interface Connection {
  /** Requests whose answers are not complete. */
  answering: number;
  /** When the last request began or the last answer ended, by `performance.now()`. */
  sinceMs: number;
}

/**
 * Limits the connections of a server. At the limit, a new connection replaces the one that has been idle for longest. Otherwise
 * a client that opens all connections would block every other client.
 */
export class ConnectionLimit {
  readonly #connections = new Map<Socket, Connection>();
  readonly #countMax: number;
  readonly #endsSlowAnswers: boolean;

  /** @param endsSlowAnswers whether a new connection may replace one whose answer takes longer than a second */
  constructor(countMax: number, endsSlowAnswers: boolean) {
    this.#countMax = countMax;
    this.#endsSlowAnswers = endsSlowAnswers;
  }

  add(socket: Socket): void {
    if (this.#connections.size >= this.#countMax && !this.#makeRoom()) {
      socket.destroy();
      return;
    }
    this.#connections.set(socket, { answering: 0, sinceMs: performance.now() });
    socket.once('close', () => this.#connections.delete(socket));
  }

  /** Call this when a request begins. False: its connection was closed, so do not answer. */
  admits(socket: Socket, response: ServerResponse): boolean {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.answering >= REQUESTS_AT_ONCE_MAX) {
      this.#connections.delete(socket);
      socket.destroy();
      return false;
    }
    connection.answering += 1;
    connection.sinceMs = performance.now();
    response.once('close', () => {
      connection.answering -= 1;
      connection.sinceMs = performance.now();
    });
    return true;
  }

  #makeRoom(): boolean {
    const idle = this.#oldest(({ answering }) => answering === 0);
    const oldest = idle ?? (this.#endsSlowAnswers ? this.#oldest(isUnread) : undefined);
    if (oldest === undefined) return false;
    this.#connections.delete(oldest);
    oldest.destroy();
    return true;
  }

  #oldest(isCandidate: (connection: Connection) => boolean): Socket | undefined {
    let found: { readonly socket: Socket; readonly sinceMs: number } | undefined;
    for (const [socket, connection] of this.#connections) {
      if (isCandidate(connection) && (found === undefined || connection.sinceMs < found.sinceMs)) {
        found = { socket, sinceMs: connection.sinceMs };
      }
    }
    return found?.socket;
  }
}

function isUnread({ sinceMs }: Connection): boolean {
  return performance.now() - sinceMs > UNREAD_MS_MAX;
}

import { createHash } from 'node:crypto';

import { connect } from './connect.ts';
import type { SftpOptions } from './options.ts';
import type { SftpSession } from './session.ts';

/**
 * One connection to one server as one user, shared by all clients of this process with the same settings: a thousand
 * databases on one server need one login. Connects on first use, and reconnects after a loss.
 */
export class SftpConnection {
  static readonly #open = new Map<string, SftpConnection>();

  readonly #options: SftpOptions;
  readonly #identity: string;
  #users = 0;
  #session: Promise<SftpSession> | undefined;

  /** The shared connection for these options. Each call must be matched by one `release`. */
  static retain(options: SftpOptions): SftpConnection {
    const identity = identityOf(options);
    const connection = SftpConnection.#open.get(identity) ?? new SftpConnection(options, identity);
    SftpConnection.#open.set(identity, connection);
    connection.#users += 1;
    return connection;
  }

  private constructor(options: SftpOptions, identity: string) {
    this.#options = options;
    this.#identity = identity;
  }

  /** A live session. Concurrent callers wait for the same one. */
  async session(): Promise<SftpSession> {
    const current = this.#session;
    if (current !== undefined) {
      const session = await current;
      if (!session.ended) return session;
      // Another caller may have reconnected while this one waited.
      if (this.#session !== current && this.#session !== undefined) return this.session();
    }
    const made = connect(this.#options);
    this.#session = made;
    try {
      return await made;
    } catch (error) {
      if (this.#session === made) this.#session = undefined;
      throw error;
    }
  }

  /** The last release closes the connection. */
  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    SftpConnection.#open.delete(this.#identity);
    const session = await this.#session?.catch(() => undefined);
    session?.close();
  }
}

/** Identifies a connection. Hashed, because the password is a part of it. The path is not. */
function identityOf(options: SftpOptions): string {
  const { host, user, password, keyPath, keyPassphrase, agent, hostKey, knownHostsPath, skipVerify, timeoutMs } =
    options;
  const facts = [host, user, password, keyPath, keyPassphrase, agent, hostKey, knownHostsPath, skipVerify, timeoutMs];
  return createHash('sha256')
    .update(JSON.stringify(facts.map((fact) => fact ?? null)))
    .digest('hex');
}

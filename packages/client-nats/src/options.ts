/** The NATS object store of a replica, and its login. Only `bucket` has no default. */
export interface NatsOptions {
  /** Variables: `SSL_CERT_FILE` and `SSL_CERT_DIR`, unless `rootCas` is set. Default: those of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** `nats://host[:port]`, or several. Default `nats://127.0.0.1:4222`. */
  readonly url?: string | readonly string[] | undefined;
  /** Name of an existing object store. It must hold only this replica, whose objects have no folder of their own. */
  readonly bucket: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** A user's JWT; needs `seed`. */
  readonly jwt?: string | undefined;
  /** The private key that signs the server's challenge, for `jwt` or for an NKey alone: `SU…`. */
  readonly seed?: string | undefined;
  /** Path of a `.creds` file, which holds a JWT and its seed. */
  readonly creds?: string | undefined;
  /** Public NKey of the user, `U…`, with `seed`; or the path of a file that holds the seed. */
  readonly nkey?: string | undefined;
  /** Require TLS. Default: use TLS if the server offers it. */
  readonly tls?: boolean | undefined;
  /** PEM files of certificate authorities. */
  readonly rootCas?: readonly string[] | undefined;
  /** PEM files of this client's certificate and key; both or neither. */
  readonly clientCert?: string | undefined;
  readonly clientKey?: string | undefined;
  /**
   * Failed reconnections in a row before the connection is abandoned. The next call then connects again. Default -1: no limit.
   */
  readonly maxReconnects?: number | undefined;
  /** Milliseconds between two reconnections. Default 2,000. */
  readonly reconnectWaitMs?: number | undefined;
  /** Milliseconds to connect. Default 10,000. */
  readonly timeoutMs?: number | undefined;
}

export const DEFAULT_URL = 'nats://127.0.0.1:4222';
export const RECONNECT_WAIT_MS = 2_000;
export const TIMEOUT_MS = 10_000;

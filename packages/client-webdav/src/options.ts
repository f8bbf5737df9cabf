/** Location of a replica on a WebDAV server, and its login. */
export interface WebdavOptions {
  /** Variables: `SSL_CERT_FILE` and `SSL_CERT_DIR`. Default: those of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** An existing collection, the parent of the replica: `https://host:port/remote.php/dav/files/me`. */
  readonly url: string;
  readonly username?: string | undefined;
  /** Sent with Basic or Digest, as the server requires. */
  readonly password?: string | undefined;
  /** Folder of the replica under `url`. Created if it does not exist. */
  readonly path?: string | undefined;
  /** Trust any TLS certificate. Default false. */
  readonly skipVerify?: boolean | undefined;
  /**
   * Folder that stages bodies of unknown size, mostly compactions, before their upload; created if missing. Default: the
   * system's temporary folder, which may be small or in memory.
   */
  readonly stagingPath?: string | undefined;
}

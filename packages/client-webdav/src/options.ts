/** Where a WebDAV replica lives and how to get in. */
export interface WebdavOptions {
  /** Variables: `SSL_CERT_FILE` and `SSL_CERT_DIR`. Default: those of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The collection everything lies under: `https://host:port/remote.php/dav/files/me`. It must exist. */
  readonly url: string;
  readonly username?: string | undefined;
  /** Sent as Basic or Digest, whichever the server asks for. */
  readonly password?: string | undefined;
  /** Folder of the replica under `url`. Made if it does not exist. */
  readonly path?: string | undefined;
  /** Trust any TLS certificate. Default false. */
  readonly skipVerify?: boolean | undefined;
  /**
   * Folder for the file of a body of unknown size, mostly a compaction, until it is sent; created if missing. Default: the
   * system's temporary folder, which may be small or in memory.
   */
  readonly stagingPath?: string | undefined;
}

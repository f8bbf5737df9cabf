/** Location of a replica on an SFTP server, and its login. Only `host` and `user` have no default. */
export interface SftpOptions {
  /** `name`, `name:port` or `[address]:port`. Port 22 if none is given. */
  readonly host: string;
  readonly user: string;
  /** Folder of the replica on the server. Relative to the folder of the login unless it begins with a slash. */
  readonly path?: string | undefined;
  /** Answers both the password and the keyboard-interactive method. */
  readonly password?: string | undefined;
  /** A private key file, OpenSSH or PEM (PKCS#8, PKCS#1, SEC1); `~` is the home folder. */
  readonly keyPath?: string | undefined;
  /** Decrypts the private key. */
  readonly keyPassphrase?: string | undefined;
  /** Socket of an SSH agent. From a config: SSH_AUTH_SOCK, if neither `password` nor `keyPath` is given. */
  readonly agent?: string | undefined;
  /** Public keys of the server, as `ssh-keyscan` prints them: `ssh-ed25519 AAAA…`, one a line. Default: looked up in `knownHostsPath`. */
  readonly hostKey?: string | undefined;
  /** Default `~/.ssh/known_hosts`, then `/etc/ssh/ssh_known_hosts`. */
  readonly knownHostsPath?: string | undefined;
  /** Trust any server. An impostor at the address would get the data and the password. Default false. */
  readonly skipVerify?: boolean | undefined;
  /** Keep many writes of one file in flight. Default true. */
  readonly concurrentWrites?: boolean | undefined;
  /** Milliseconds to connect and log in. Default 30,000. */
  readonly timeoutMs?: number | undefined;
}

export const CONNECT_TIMEOUT_MS = 30_000;

import type { Client, FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';

import { SFTP_STATUS } from './errors.ts';

/** Called by the SSH library with an error or a result. */
type Callback<T> = (error: Error | null | undefined, result: T) => void;

/**
 * One SFTP channel over one SSH connection, with promises. After the connection has ended, every call rejects with the error
 * that ended it: with the library itself, later calls would wait forever.
 */
export class SftpSession {
  readonly #client: Client;
  readonly #sftp: SFTPWrapper;
  readonly #pending = new Set<(error: Error) => void>();
  #ended: Error | undefined;

  constructor(client: Client, sftp: SFTPWrapper) {
    this.#client = client;
    this.#sftp = sftp;
    client.on('error', (error) => this.#end(error));
    client.on('close', () => this.#end(lost()));
    sftp.on('close', () => this.#end(lost()));
    sftp.on('error', (error: Error) => this.#end(error));
  }

  /** Whether the connection has ended; the session can then no longer be used. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Closes the connection. Calls in flight reject. */
  close(): void {
    this.#end(lost());
  }

  open(path: string, mode: 'r' | 'w'): Promise<Buffer> {
    return this.#call((done) => this.#sftp.open(path, mode, done));
  }

  closeHandle(handle: Buffer): Promise<void> {
    return this.#call((done) => this.#sftp.close(handle, (error) => done(error, undefined)));
  }

  stat(path: string): Promise<Stats> {
    return this.#call((done) => this.#sftp.stat(path, done));
  }

  fstat(handle: Buffer): Promise<Stats> {
    return this.#call((done) => this.#sftp.fstat(handle, done));
  }

  readdir(path: string): Promise<FileEntryWithStats[]> {
    return this.#call((done) => this.#sftp.readdir(path, done));
  }

  mkdir(path: string): Promise<void> {
    return this.#call((done) => this.#sftp.mkdir(path, (error) => done(error, undefined)));
  }

  rmdir(path: string): Promise<void> {
    return this.#call((done) => this.#sftp.rmdir(path, (error) => done(error, undefined)));
  }

  unlink(path: string): Promise<void> {
    return this.#call((done) => this.#sftp.unlink(path, (error) => done(error, undefined)));
  }

  /** Bytes at a position: fewer at the end of the file, and none after it. */
  read(handle: Buffer, position: number, size: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(size);
    return this.#call((done) =>
      this.#sftp.read(handle, bytes, 0, size, position, (error, count) => {
        if (error !== undefined && error !== null && statusOf(error) !== SFTP_STATUS.eof) done(error, bytes);
        else done(undefined, bytes.subarray(0, count));
      }),
    );
  }

  /** Copies the bytes before it returns. */
  write(handle: Buffer, position: number, bytes: Uint8Array): Promise<void> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#call((done) =>
      this.#sftp.write(handle, buffer, 0, buffer.length, position, (error) => done(error, undefined)),
    );
  }

  /** Sets the modification time, in whole seconds: the protocol has no finer unit. */
  setTime(handle: Buffer, time: Date): Promise<void> {
    const seconds = Math.floor(time.getTime() / 1000);
    return this.#call((done) => this.#sftp.futimes(handle, seconds, seconds, (error) => done(error, undefined)));
  }

  /** Syncs a file to the server's disk, if the server supports it. */
  async sync(handle: Buffer): Promise<void> {
    await this.#extended('ext_openssh_fsync', handle);
  }

  /** Renames a file and replaces an existing one, atomically if the server supports it (OpenSSH and most others). */
  async replace(from: string, to: string): Promise<void> {
    if (await this.#extended('ext_openssh_rename', from, to)) return;
    try {
      await this.#rename(from, to);
    } catch (error) {
      // Version 3 of the protocol refuses to rename over a file, with a general failure.
      if (statusOf(error) !== SFTP_STATUS.failure) throw error;
      await this.unlink(to);
      await this.#rename(from, to);
    }
  }

  /**
   * Renames unless the new name is taken; false if it is. Version 3 of the protocol refuses to rename over a file, with a
   * general failure: then this checks whether a file exists.
   */
  async create(from: string, to: string): Promise<boolean> {
    try {
      await this.#rename(from, to);
      return true;
    } catch (error) {
      const status = statusOf(error);
      if (status === SFTP_STATUS.fileAlreadyExists) return false;
      if (status !== SFTP_STATUS.failure || !(await this.#exists(to))) throw error;
      return false;
    }
  }

  async #exists(path: string): Promise<boolean> {
    try {
      await this.stat(path);
      return true;
    } catch (error) {
      if (statusOf(error) === SFTP_STATUS.noSuchFile) return false;
      throw error;
    }
  }

  #rename(from: string, to: string): Promise<void> {
    return this.#call((done) => this.#sftp.rename(from, to, (error) => done(error, undefined)));
  }

  /** False if the server does not offer the extension. */
  async #extended(name: 'ext_openssh_fsync', handle: Buffer): Promise<boolean>;
  async #extended(name: 'ext_openssh_rename', from: string, to: string): Promise<boolean>;
  async #extended(name: 'ext_openssh_fsync' | 'ext_openssh_rename', ...args: unknown[]): Promise<boolean> {
    try {
      await this.#call<undefined>((done) => {
        const method = this.#sftp[name] as (...args: unknown[]) => void;
        method.call(this.#sftp, ...args, (error: Error | undefined) => done(error, undefined));
      });
      return true;
    } catch (error) {
      const refused = error instanceof Error && error.message === 'Server does not support this extended request';
      if (refused || statusOf(error) === SFTP_STATUS.unsupported) return false;
      throw error;
    }
  }

  #call<T>(start: (done: Callback<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#pending.add(reject);
      const done: Callback<T> = (error, result) => {
        this.#pending.delete(reject);
        if (error === undefined || error === null) resolve(result);
        else reject(error);
      };
      try {
        start(done);
      } catch (error) {
        this.#pending.delete(reject);
        reject(error);
      }
    });
  }

  #end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
    this.#client.end();
    this.#client.destroy();
  }
}

function statusOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

function lost(): Error {
  return Object.assign(new Error('the connection to the SFTP server ended'), { code: SFTP_STATUS.connectionLost });
}

/** Azurite, Azure's own emulator, in memory and on loopback, as npm brings it. */
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import type { ContainerClient } from '@azure/storage-blob';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { until } from '../../../tests/support/wait.ts';

export class Azurite implements AsyncDisposable {
  /** The account and key of every Azurite, public by its documentation. */
  readonly accountName = 'devstoreaccount1';
  readonly accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
  readonly endpoint: string;
  /** The container `litestream`, past the client under test. */
  readonly container: ContainerClient;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(process: ChildProcess, folder: string, port: number) {
    this.#process = process;
    this.#folder = folder;
    this.endpoint = `http://127.0.0.1:${port}/${this.accountName}`;
    const credential = new StorageSharedKeyCredential(this.accountName, this.accountKey);
    this.container = new BlobServiceClient(this.endpoint, credential).getContainerClient('litestream');
  }

  /** Starts it on a port that the system gives it, and reads which one that is. */
  static async start(): Promise<Azurite> {
    const folder = await mkdtemp(join(tmpdir(), 'litestream-azurite-'));
    const require = createRequire(import.meta.url);
    const main = join(dirname(require.resolve('azurite/package.json')), 'dist/src/blob/main.js');
    const flags = ['--silent', '--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry'];
    const args = [main, '--blobHost', '127.0.0.1', '--blobPort', '0', ...flags];
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.removeListener('exit', kill));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    const port = await until('Azurite', () => /listens on http:\/\/127\.0\.0\.1:(\d+)\s/.exec(output)?.[1], {
      failed: () => (child.exitCode === null && child.signalCode === null ? undefined : `it ended: ${output}`),
    });
    const self = new Azurite(child, folder, Number(port));
    await self.container.create();
    return self;
  }

  /** Names of all blobs. */
  async names(): Promise<string[]> {
    const blobs = await Array.fromAsync(this.container.listBlobsFlat());
    return blobs.map((blob) => blob.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.kill();
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

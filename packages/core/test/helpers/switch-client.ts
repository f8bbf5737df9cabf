/** A client that can be exchanged for another one of the same replica while it is in use, or be cut off. */
import type { Body, Capabilities, LtxFileBody, LtxFileInfo, LtxFileRef, Op, ReplicaClient } from '../../src/index.ts';
import { LitestreamError } from '../../src/index.ts';

export class SwitchClient implements ReplicaClient {
  readonly type: string;
  readonly capabilities: Capabilities;
  current: ReplicaClient;
  isDown = false;
  /** Files that are listed, but cannot be opened yet. */
  isMissing: (file: LtxFileRef) => boolean = () => false;

  constructor(client: ReplicaClient) {
    this.current = client;
    this.type = client.type;
    this.capabilities = client.capabilities;
  }

  async init(options?: Op): Promise<void> {
    await this.#up().init(options);
  }

  async *ltxFiles(
    level: number,
    query?: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & Op,
  ): AsyncGenerator<LtxFileInfo> {
    yield* this.#up().ltxFiles(level, query);
  }

  async openLtxFile(
    file: LtxFileRef,
    range?: { offset?: number | undefined; size?: number | undefined } & Op,
  ): Promise<LtxFileBody> {
    const client = this.#up();
    if (this.isMissing(file)) throw new LitestreamError('no such object yet', { code: 'NOT_FOUND' });
    return await client.openLtxFile(file, range);
  }

  async writeLtxFile(file: LtxFileRef & { timestamp: Date }, body: Body, options?: Op): Promise<LtxFileInfo> {
    return await this.#up().writeLtxFile(file, body, options);
  }

  async deleteLtxFiles(files: readonly LtxFileRef[], options?: Op): Promise<void> {
    await this.#up().deleteLtxFiles(files, options);
  }

  async deleteAll(options?: Op): Promise<void> {
    await this.#up().deleteAll(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.current[Symbol.asyncDispose]();
  }

  #up(): ReplicaClient {
    if (this.isDown) throw new LitestreamError('the backend is down', { code: 'UNAVAILABLE', retryable: true });
    return this.current;
  }
}

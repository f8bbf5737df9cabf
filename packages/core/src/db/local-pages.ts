import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { HEADER_SIZE, decodeHeader, kernel, readPageIndex } from '@litestream/ltx';
import type { LtxHeader, PageIndex } from '@litestream/ltx';
import { fileAccess } from '@litestream/ltx/node';

/** Single pages of a local LTX file, found by its index. Throws an `LtxError` where the file is damaged. */
export class LocalPages implements Disposable {
  readonly header: LtxHeader;
  readonly #fd: number;
  readonly #access: ReturnType<typeof fileAccess>;
  #index: PageIndex | undefined;

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    try {
      const bytes = new Uint8Array(HEADER_SIZE);
      readSync(this.#fd, bytes, 0, HEADER_SIZE, 0);
      this.header = decodeHeader(bytes);
      this.#access = fileAccess(this.#fd, fstatSync(this.#fd).size);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** Ascending. */
  async pgnos(): Promise<Uint32Array> {
    return (await this.#readIndex()).pgnos;
  }

  /** Undefined if the file has no such page. */
  async read(pgno: number): Promise<Uint8Array | undefined> {
    const entry = (await this.#readIndex()).find(pgno);
    if (entry === undefined) return undefined;
    const frame = await this.#access.read(entry.offset, entry.size);
    return kernel().decodeFrames(frame, this.header.pageSize, 0n, 1).pages.slice();
  }

  async #readIndex(): Promise<PageIndex> {
    this.#index ??= (await readPageIndex(this.#access)).index;
    return this.#index;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

import { rm } from 'node:fs/promises';
import type { LtxFileInfo, ReplicaClient } from '../../storage/contract/contract.ts';
import { resumableSource } from '../../storage/reading/resumable-reader.ts';
import { openReplacing } from '../../files/safe-files.ts';
import { fault, ltxName } from './ltx-errors.ts';

/**
 * Copies files to the local disk, for clients that cannot read from an offset: each range would cost all bytes before
 * it. The copies are beside the output, and are deleted when this is disposed of.
 */
export class Spool implements AsyncDisposable {
  readonly #prefix: string;
  readonly #paths = new Set<string>();
  #count = 0;

  /** `prefix`: path that the files' names start with. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Copies a file, and returns the path of the copy. */
  async copy(client: ReplicaClient, info: LtxFileInfo, signal: AbortSignal): Promise<string> {
    const path = `${this.#prefix}.ltx${this.#count++}.tmp`;
    this.#paths.add(path);
    try {
      await using handle = await openReplacing(path);
      for await (const chunk of resumableSource(client, info, { signal })) await handle.writeFile(chunk);
    } catch (error) {
      throw fault(ltxName(info), error);
    }
    return path;
  }

  async remove(path: string): Promise<void> {
    if (this.#paths.delete(path)) await rm(path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#paths) await this.remove(path);
  }
}

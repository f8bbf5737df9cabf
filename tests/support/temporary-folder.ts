import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder, removed with all it holds at the end of the scope, unless `KEEP_TEMP` is set. */
export async function temporaryFolder(name: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), `litestream-${name}-`));
  return {
    path,
    async [Symbol.asyncDispose]() {
      if (process.env['KEEP_TEMP'] !== undefined) console.log(`kept ${path}`);
      else await rm(path, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

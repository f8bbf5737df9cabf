import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { removeFolder } from '../../../../tests/support/remove-folder.ts';

/** A folder that goes away with the test file. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `litestream-${name}-`));
  afterAll(() => removeFolder(folder, { force: true }));
  return folder;
}

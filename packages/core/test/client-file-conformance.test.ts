import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, it } from 'vitest';

import { FileClient } from '../src/storage/file/file-client.ts';
import { conformance } from '../src/conformance/index.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'conformance-'));
afterAll(() => removeFolder(root, { force: true }));

conformance({
  name: 'file',
  // A folder has no pages.
  fileCount: 100,
  // On a busy machine, too; less than vitest gives a test.
  timeoutMs: 150_000,
  describe,
  it,
  client: (place) => new FileClient({ path: join(root, place) }),
  runCount: 296,
});

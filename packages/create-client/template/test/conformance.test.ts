import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { conformance } from '@litestream/core/conformance';
import { AcmeStoreClient } from '../src/client.ts';

const folder = mkdtempSync(join(tmpdir(), 'acme-store-'));
after(() => rmSync(folder, { recursive: true }));

conformance({ name: 'acme-store', describe, it, client: (path) => new AcmeStoreClient(folder, path) });

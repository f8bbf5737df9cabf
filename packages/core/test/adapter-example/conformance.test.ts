import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { conformance } from '@litestream/core/conformance';
import { afterAll, describe, it, vi } from 'vitest';

import { SqliteClient } from './sqlite-client.ts';

vi.setConfig({ testTimeout: 60_000 });
const folder = mkdtempSync(join(tmpdir(), 'client-sqlite-'));
afterAll(() => rmSync(folder, { recursive: true }));

conformance({ name: 'sqlite', describe, it, client: (path) => new SqliteClient(join(folder, 'replicas.db'), path) });

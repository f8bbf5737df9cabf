import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { conformance } from '@litestream/core/conformance';
import { SqliteClient } from '../src/sqlite-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'litestream-client-sqlite-'));
after(() => rmSync(folder, { recursive: true }));

conformance({ name: 'sqlite', describe, it, client: (path) => new SqliteClient(join(folder, 'replicas.db'), path) });

/**
 * The test files of `npm run test:unit`: no processes, no servers, next to no waiting, so that all of them together answer in
 * seconds. A file that is none of these any more fails there (unit-test-guard.ts). Everything else runs in `npm test` too.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';

const names: Readonly<Record<string, readonly string[]>> = {
  cli: ['config', 'config-reference', 'config-warnings', 'config-yaml', 'flags', 'log', 'units'],
  'client-nats': ['clear-text', 'config'],
  'client-oss': ['config'],
  'client-s3': ['config'],
  'client-sftp': ['config'],
  'client-webdav': ['config'],
  core: [
    'body-reader',
    'client-broken',
    'client-file-lock',
    'client-guard',
    'client-guard-facts',
    'client-memory-conformance',
    'client-resumable',
    'created-at',
    'db-decide',
    'db-removed',
    'db-rest',
    'error-docs',
    'lease-leaser',
    'lease-state',
    'litestream-stop',
    'object-names',
    'replica-clock',
    'replica-other-history',
    'replica-reopened',
    'replica-upload',
    'restore-plan',
    'store-compactor',
    'store-decisions',
    'store-store',
  ],
  'create-client': ['names'],
  ltx: [
    'crc64',
    'format-page',
    'go-files',
    'header',
    'hostile-index',
    'lock-page',
    'lz4',
    'merge',
    'round-trip',
    'wal',
  ],
  'test-tool': ['content-checksum', 'flags', 'pacer'],
};

/** From the root of the repository. */
export const unitTestFiles: readonly string[] = Object.entries(names).flatMap(([name, files]) =>
  files.map((file) => `packages/${name}/test/${file}.test.ts`),
);

const missing = unitTestFiles.filter((file) => !existsSync(join(repositoryRoot, file)));
if (missing.length > 0) throw new Error(`tests/unit/files.ts names files that are not there: ${missing.join(', ')}`);

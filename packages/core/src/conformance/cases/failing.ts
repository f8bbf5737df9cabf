import assert from 'node:assert/strict';

import type { ReplicaClient } from '../../storage/contract/contract.ts';
import type { LitestreamErrorCode } from '../../util/error.ts';
import type { CaseContext, ConformanceCase } from '../model/case.ts';
import { fileOf } from '../model/case.ts';

type Kind = Parameters<CaseContext['broken']>[0];

type Operation = readonly [string, (client: ReplicaClient) => Promise<unknown>];

const DELETIONS: readonly Operation[] = [
  ['deleteLtxFiles', async (client) => await client.deleteLtxFiles([fileOf(1)])],
  ['deleteAll', async (client) => await client.deleteAll()],
];

/** The first call, `init` or the operation, must report the failure. */
async function assertFails(context: CaseContext, kind: Kind, allowed: readonly LitestreamErrorCode[]): Promise<void> {
  const operations: readonly Operation[] = [
    ['ltxFiles', async (client) => await Array.fromAsync(client.ltxFiles(0))],
    ['openLtxFile', async (client) => await Array.fromAsync(await client.openLtxFile(fileOf(1)))],
    [
      'writeLtxFile',
      async (client) => {
        const body = {
          open: async function* () {
            yield Buffer.from('x');
          },
        };
        await client.writeLtxFile({ ...fileOf(1), timestamp: new Date(0) }, body);
      },
    ],
    // In a missing bucket, the object to delete is gone too: not every backend reports that as an error.
    ...(kind === 'missingBucket' ? [] : DELETIONS),
  ];
  for (const [name, operate] of operations) {
    const client = await context.broken(kind);
    const code = await context.codeOf(async () => {
      await client.init();
      await operate(client);
    });
    assert.ok(allowed.includes(code), `${name} rejects with ${code}, not ${allowed.join(' or ')}`);
    await client[Symbol.asyncDispose]();
  }
}

export const failingCases: readonly ConformanceCase[] = [
  {
    name: 'wrong credentials reject with UNAUTHORIZED or PERMISSION_DENIED',
    requires: ['wrongCredentials'],
    variations: ['direct', 'guarded'],
    run: async (context) => await assertFails(context, 'wrongCredentials', ['UNAUTHORIZED', 'PERMISSION_DENIED']),
  },
  {
    name: 'a missing bucket rejects with BUCKET_MISSING',
    requires: ['missingBucket'],
    variations: ['direct', 'guarded'],
    run: async (context) => await assertFails(context, 'missingBucket', ['BUCKET_MISSING']),
  },
  {
    name: 'an unreachable host rejects with NETWORK or TIMEOUT',
    requires: ['unreachable'],
    variations: ['direct', 'guarded'],
    run: async (context) => await assertFails(context, 'unreachable', ['NETWORK', 'TIMEOUT']),
  },
];

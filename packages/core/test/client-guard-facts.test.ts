/** The layer around clients: what it refuses, bounds, counts and says, and what it never lets through. */
import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import { pause } from '../../../tests/support/wait.ts';
import type { LtxFileInfo } from '../src/storage/contract/contract.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { LitestreamError } from '../src/util/error.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { bodyOf, caught, failing, file, retryable, timestamp } from './client-guard-support.ts';

describe('arguments', () => {
  const { client } = failing({});
  it.each<[string, () => Promise<unknown>]>([
    ['a level below 0', async () => await Array.fromAsync(client.ltxFiles(-1))],
    ['a level above 9', async () => await Array.fromAsync(client.ltxFiles(10))],
    ['a level that is not whole', async () => await Array.fromAsync(client.ltxFiles(1.5))],
    ['a seek below 0', async () => await Array.fromAsync(client.ltxFiles(0, { seek: -1n }))],
    ['a TXID of 0', async () => await client.openLtxFile(file(0))],
    ['TXIDs in reverse', async () => await client.openLtxFile({ level: 1, minTxid: 3n, maxTxid: 2n })],
    ['a TXID of 65 bits', async () => await client.openLtxFile({ level: 1, minTxid: 1n, maxTxid: 2n ** 64n })],
    ['a TXID that is a number', async () => await client.openLtxFile({ level: 1, minTxid: 1 as never, maxTxid: 1n })],
    ['a negative offset', async () => await client.openLtxFile(file(1), { offset: -1 })],
    ['a size that is not whole', async () => await client.openLtxFile(file(1), { size: 0.5 })],
    [
      'a broken timestamp',
      async () => await client.writeLtxFile({ ...file(1), timestamp: new Date(Number.NaN) }, bodyOf()),
    ],
    ['a body that does not open', async () => await client.writeLtxFile({ ...file(1), timestamp }, {} as never)],
    ['a key that leaves the folder', async () => await client.objects?.put('../x', Buffer.alloc(0))],
    ['an empty key', async () => await client.objects?.open('')],
    [
      'both conditions',
      async () => await client.objects?.put('k', Buffer.alloc(0), { ifMatch: 'v', ifNoneMatch: '*' }),
    ],
  ])('refuses %s', async (_, call) => {
    expect(await caught(call)).toMatchObject({ code: 'INVALID_ARGUMENT', backend: 'memory', retryable: false });
  });
});

describe('bounds and counts', () => {
  it('runs no more writes at a time than it may, while reads go on', async () => {
    let running = 0;
    let most = 0;
    const client = guardClient(
      new MemoryClient({
        before: async (operation) => {
          if (operation !== 'writeLtxFile') return;
          most = Math.max(most, ++running);
          await pause(5, 'a write that others overlap');
          running--;
        },
      }),
      { concurrencyMax: 3 },
    );
    await client.writeLtxFile({ ...file(99), timestamp }, bodyOf('source'));
    most = 0;
    // Each write is fed by a read of the same replica, as compaction does it: a shared bound would lock up here.
    await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const open = async function* () {
          yield* await client.openLtxFile(file(99));
        };
        await client.writeLtxFile({ ...file(index + 1), timestamp }, { open });
      }),
    );
    expect(most).toBe(3);
    expect(await Array.fromAsync(client.ltxFiles(0))).toHaveLength(13);
  });

  it('deletes in batches of a thousand', async () => {
    const batches: number[] = [];
    const client = guardClient(
      Object.assign(new MemoryClient(), {
        deleteLtxFiles: async (files: readonly unknown[]) => {
          batches.push(files.length);
        },
      }),
    );
    await client.deleteLtxFiles(Array.from({ length: 2500 }, (_, index) => file(index + 1)));
    expect(batches).toEqual([1000, 1000, 500]);
  });

  it('counts operations, bytes and errors as upstream labels them', async () => {
    const { client, events } = failing({ openLtxFile: [retryable()] });
    await client.writeLtxFile({ ...file(1), timestamp }, bodyOf('12345', '678'));
    await Array.fromAsync(await client.openLtxFile(file(1), { offset: 2 }));
    await Array.fromAsync(client.ltxFiles(0));
    await client.deleteLtxFiles([file(1)]);
    await caught(async () => await client.openLtxFile(file(1)));
    expect(events.map(({ kind, bytes, count, attempt, code }) => [kind, bytes, count, attempt, code])).toEqual([
      ['INIT', 0, 0, 1, undefined],
      ['PUT', 8, 0, 1, undefined],
      ['GET', 0, 0, 1, 'NETWORK'],
      ['GET', 6, 0, 2, undefined],
      ['LIST', 0, 1, 1, undefined],
      ['DELETE', 0, 1, 1, undefined],
      ['GET', 0, 0, 1, 'NOT_FOUND'],
    ]);
  });

  it('puts its layer around a client once', () => {
    const client = guardClient(new MemoryClient());
    expect(guardClient(client)).toBe(client);
  });

  it('reads from the start and skips where a client cannot do ranges', async () => {
    const inner = new MemoryClient();
    await inner.writeLtxFile({ ...file(1), timestamp }, bodyOf('0123456789'));
    const ranges: unknown[] = [];
    const open = inner.openLtxFile.bind(inner);
    const client = guardClient(
      Object.assign(inner, {
        capabilities: { ...inner.capabilities, ranges: false },
        openLtxFile: async (...[info, range]: Parameters<typeof open>) => {
          ranges.push(range?.offset, range?.size);
          return await open(info, range);
        },
      }),
    );
    expect(
      Buffer.concat(await Array.fromAsync(await client.openLtxFile(file(1), { offset: 3, size: 4 }))).toString(),
    ).toBe('3456');
    expect(ranges).toEqual([undefined, 7]);
  });
});

describe('errors', () => {
  it('says what was done to what, by which backend, and what to do', async () => {
    const cause = Object.assign(new Error('permission denied'), { code: 'EACCES' });
    const { client } = failing({ writeLtxFile: [cause] });
    const error = await caught(async () => await client.writeLtxFile({ ...file(7, 2), timestamp }, bodyOf('x')));
    expect(error).toMatchObject({
      code: 'PERMISSION_DENIED',
      operation: 'writeLtxFile',
      backend: 'memory',
      object: '2/0000000000000007-0000000000000007.ltx',
      message: 'memory: cannot write 2/0000000000000007-0000000000000007.ltx: permission denied',
      hint: expect.stringContaining('Check') as string,
      cause: { message: 'permission denied', code: 'EACCES' },
    });
  });

  it('wraps once: an error with its facts comes back as it is', async () => {
    const raised = new LitestreamError('said', { code: 'NOT_FOUND', operation: 'openLtxFile', backend: 's3' });
    const { client } = failing({ openLtxFile: [raised] });
    expect(await caught(async () => await client.openLtxFile(file(1)))).toBe(raised);
  });

  it('lets no secret into any text, wherever an SDK put it', async () => {
    const secret = 'wJalrXUtnFEMI-K7MDENG';
    const inner = Object.assign(new Error(`GET https://user:${secret}@host/x?X-Amz-Signature=abcdef&x=1 failed`), {
      config: { headers: { authorization: `Bearer ${secret}` } },
    });
    const outer = new Error(`Authorization: Basic ${secret} was refused for key ${secret}`, { cause: inner });
    const { client } = failing({ deleteAll: [outer] }, { secrets: [secret] });
    const error = await caught(async () => await client.deleteAll());
    const text = inspect(error, { depth: 20, showHidden: true });
    expect(text).not.toContain(secret);
    expect(text).not.toContain('abcdef');
    expect(text).toContain('[redacted]');
  });

  it('keeps what was listed before an error', async () => {
    const { client } = failing({});
    await client.writeLtxFile({ ...file(1), timestamp }, bodyOf('x'));
    const infos: LtxFileInfo[] = [];
    for await (const info of client.ltxFiles(0)) infos.push(info);
    expect(infos).toHaveLength(1);
  });
});

/** Reads that break, stall, end early or meet another object on the way. */
import { describe, expect, it } from 'vitest';

import { pause } from '../../../tests/support/wait.ts';
import type { LtxFileBody, LtxFileInfo, Op, ReplicaClient } from '../src/storage/contract/contract.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { resumableFile, resumableSource } from '../src/storage/reading/resumable-reader.ts';
import { LitestreamError } from '../src/util/error.ts';
import { FaultClient, MemoryClient, Seeded } from '../src/testing/index.ts';
import { bodyOf, caught, file, timestamp } from './client-guard-support.ts';

const CONTENT = 'abcdefghijklmnopqrstuvwxyz';

type Range = { offset?: number | undefined; size?: number | undefined } & Op;
/** How one opening ends: after how many bytes, and with an error or as if that were all. */
type Ending = { after: number; error?: Error } | 'whole' | { refuse: Error };

/** A client with one file, whose openings end as told, in order. */
async function script(endings: Ending[], { content = CONTENT, chunkSize = 4 } = {}) {
  const inner = new MemoryClient({ chunkSize });
  const info = await inner.writeLtxFile({ ...file(1), timestamp }, bodyOf(content));
  const opened: Range[] = [];
  const left: number[] = [];
  const client = Object.assign(Object.create(inner) as ReplicaClient, {
    type: 'memory',
    capabilities: inner.capabilities,
    init: async () => await inner.init(),
    ltxFiles: (level: number, query?: object) => inner.ltxFiles(level, query),
    openLtxFile: async (ref: typeof info, range: Range = {}): Promise<LtxFileBody> => {
      opened.push({ offset: range.offset, size: range.size });
      const ending = endings.shift() ?? 'whole';
      if (ending !== 'whole' && 'refuse' in ending) throw ending.refuse;
      const body = await inner.openLtxFile(ref, range);
      return (async function* () {
        let sent = 0;
        try {
          for await (const chunk of body) {
            if (ending !== 'whole' && sent + chunk.byteLength > ending.after) {
              if (ending.after > sent) yield chunk.subarray(0, ending.after - sent);
              if (ending.error === undefined) return;
              throw ending.error;
            }
            sent += chunk.byteLength;
            yield chunk;
          }
        } finally {
          left.push(sent);
        }
      })();
    },
  });
  const waits: number[] = [];
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    schedule: (delayMs: number, task: () => void) => {
      waits.push(delayMs);
      setImmediate(task);
      return () => undefined;
    },
  };
  return { client, inner, info, opened, left, waits, clock };
}

const text = async (source: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(source)).toString();
const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });

describe('resumableSource', () => {
  it('reads a file that gives no trouble in one go', async () => {
    const { client, info, opened, waits, clock } = await script([]);
    expect(await text(resumableSource(client, info, { clock }))).toBe(CONTENT);
    expect(opened).toEqual([{ offset: 0, size: undefined }]);
    expect(waits).toEqual([]);
  });

  it('resumes at the byte it reached, after an error and after an early end', async () => {
    const { client, info, opened, waits, clock } = await script([
      { after: 10, error: reset },
      { after: 3 },
      { after: 0, error: reset },
    ]);
    expect(await text(resumableSource(client, info, { clock }))).toBe(CONTENT);
    expect(opened.map(({ offset }) => offset)).toEqual([0, 10, 13, 13]);
    expect(waits).toEqual([250, 500, 1000]);
  });

  it('gives up after three retries in all, with the last failure', async () => {
    const last = new Error('the last one');
    const { client, info, opened, clock } = await script([
      { after: 5, error: reset },
      { after: 5 },
      { refuse: reset },
      { after: 5, error: last },
    ]);
    const seen: string[] = [];
    const error = await caught(async () => {
      for await (const chunk of resumableSource(client, info, { clock })) seen.push(Buffer.from(chunk).toString());
    });
    expect(error).toBe(last);
    expect(seen.join('')).toBe(CONTENT.slice(0, 15));
    expect(opened).toHaveLength(4);
  });

  it('does not count retries against a connection that brought 64 KiB and more', async () => {
    const part = 64 * 1024;
    const content = 'abcdefgh'.repeat((part * 7) / 8);
    const { client, info, opened, waits, clock } = await script(
      Array.from({ length: 6 }, () => ({ after: part, error: reset })),
      { content, chunkSize: 4096 },
    );
    expect(await text(resumableSource(client, info, { clock }))).toBe(content);
    expect(opened).toHaveLength(7);
    expect(waits).toEqual([250, 250, 250, 250, 250, 250]);
  });

  it('gives up on connections that bring a little each time', async () => {
    const content = 'abcdefgh'.repeat(1024);
    const { client, info, opened, clock } = await script(
      Array.from({ length: 99 }, () => ({ after: 100, error: reset })),
      { content },
    );
    expect(await caught(async () => await text(resumableSource(client, info, { clock })))).toBe(reset);
    expect(opened).toHaveLength(4);
  });

  it('says how far it came when the file keeps ending early', async () => {
    const { client, info, clock } = await script(Array.from({ length: 9 }, () => ({ after: 0 })));
    expect(await caught(async () => await text(resumableSource(client, info, { clock })))).toMatchObject({
      code: 'NETWORK',
      message: expect.stringContaining('ended after 0 of 26 bytes') as string,
    });
  });

  it.each([
    ['NOT_FOUND', new LitestreamError('gone', { code: 'NOT_FOUND' })],
    ['a 404 of some SDK', Object.assign(new Error('gone'), { statusCode: 404 })],
  ])('does not try again after %s', async (_, failure) => {
    for (const endings of [[{ refuse: failure }], [{ after: 5, error: reset }, { refuse: failure }]]) {
      const { client, info, clock } = await script(endings);
      expect(await caught(async () => await text(resumableSource(client, info, { clock })))).toBe(failure);
      expect(endings).toEqual([]);
    }
  });

  it('does not try again after an abort, not even while it waits', async () => {
    const { client, info, opened } = await script([{ after: 5, error: reset }]);
    const reason = new Error('enough');
    const controller = new AbortController();
    const error = await caught(
      async () =>
        await text(
          resumableSource(client, info, {
            signal: controller.signal,
            onRetry: () => void pause(5, 'the wait for the retry has begun').then(() => controller.abort(reason)),
          }),
        ),
    );
    expect(error).toBe(reason);
    expect(opened).toHaveLength(1);
  });

  it('frees the connection of an object that is refused when it is opened', async () => {
    const { client, inner, info, left, clock } = await script([]);
    const openLtxFile = client.openLtxFile.bind(client);
    const other = { size: info.size, version: 'another' };
    client.openLtxFile = async (...call) => Object.assign(await openLtxFile(...call), { info: other });
    const error = await caught(
      async () => await text(resumableSource(client, { ...info, version: 'listed' }, { clock })),
    );
    expect(error).toMatchObject({ code: 'OBJECT_CHANGED' });
    expect(left).toHaveLength(1);
    await inner[Symbol.asyncDispose]();
  });

  it('refuses an object that was replaced between two openings', async () => {
    const { client, inner, info, clock } = await script([{ after: 10, error: reset }]);
    const error = await caught(async () => {
      for await (const _ of resumableSource(client, info, { clock })) {
        await inner.writeLtxFile({ ...file(1), timestamp }, bodyOf(CONTENT.toUpperCase()));
      }
    });
    expect(error).toMatchObject({ code: 'OBJECT_CHANGED' });
  });

  it('refuses an object that was replaced after the last look at the listing, before it was opened again', async () => {
    const { client, inner, info, clock } = await script([{ after: 10, error: reset }]);
    const openLtxFile = client.openLtxFile.bind(client);
    let openings = 0;
    client.openLtxFile = async (...call) => {
      openings += 1;
      if (openings === 2) await inner.writeLtxFile({ ...file(1), timestamp }, bodyOf(CONTENT.toUpperCase()));
      return await openLtxFile(...call);
    };
    const error = await caught(async () => await text(resumableSource(client, info, { clock })));
    expect(error).toMatchObject({ code: 'OBJECT_CHANGED' });
  });

  it('refuses an object of another size or version than the listing said, before a byte of it', async () => {
    const inner = new MemoryClient();
    const info = await inner.writeLtxFile({ ...file(1), timestamp }, bodyOf(CONTENT));
    for (const stale of [
      { ...info, size: 25 },
      { ...info, size: 27 },
      { ...info, version: 'v0' },
    ] satisfies LtxFileInfo[]) {
      const iterator = resumableSource(inner, stale)[Symbol.asyncIterator]();
      expect(await caught(async () => await iterator.next())).toMatchObject({ code: 'OBJECT_CHANGED' });
    }
  });

  it('reads a range, resumes within it, and not past it', async () => {
    const { client, info, opened, clock } = await script([{ after: 3 }]);
    expect(await text(resumableSource(client, info, { offset: 5, size: 10, clock }))).toBe('fghijklmno');
    expect(opened).toEqual([
      { offset: 5, size: 10 },
      { offset: 8, size: 7 },
    ]);
    expect(await text(resumableSource(client, info, { offset: 20, size: 100 }))).toBe('uvwxyz');
    expect(await text(resumableSource(client, info, { offset: 26 }))).toBe('');
    expect(await text(resumableSource(client, info, { offset: 99, size: 1 }))).toBe('');
    expect(await text(resumableSource(client, info, { offset: 3, size: 0 }))).toBe('');
  });

  it('frees the connection of a reader that stops early', async () => {
    const { client, info, left } = await script([]);
    for await (const _ of resumableSource(client, info)) break;
    expect(left).toHaveLength(1);
  });

  it('does not multiply with the retries of the layer around the client', async () => {
    const { client, info, opened, clock } = await script(Array.from({ length: 99 }, () => ({ refuse: reset })));
    const error = await caught(async () => await text(resumableSource(guardClient(client), info, { clock })));
    expect(error).toMatchObject({ code: 'NETWORK', operation: 'openLtxFile' });
    expect(opened).toHaveLength(4);
  });

  it('gives the right bytes or an error, whatever the faults', async () => {
    const seeds = new Seeded();
    let whole = 0;
    for (let round = 0; round < 200; round++) {
      const seed = seeds.below(2 ** 32);
      const inner = new MemoryClient({ chunkSize: 1 + (seed % 700) });
      const bytes = new Seeded(seed).bytes(seed % 9000);
      const info = await inner.writeLtxFile(
        { ...file(1), timestamp },
        {
          open: async function* () {
            yield bytes;
          },
        },
      );
      const faulty = new FaultClient(inner, { seed, rate: 0.5, latencyMsMax: 0 });
      const { clock } = await script([]);
      const guarded = guardClient(faulty, { retry: { delayMsMin: 1, delayMsMax: 1 } });
      try {
        const found = Buffer.concat(await Array.fromAsync(resumableSource(guarded, info, { clock })));
        expect(Buffer.compare(found, bytes), `seed ${seed}`).toBe(0);
        whole++;
      } catch (error) {
        expect(error, `seed ${seed}`).toMatchObject({ retryable: true });
      }
    }
    expect(whole).toBeGreaterThan(100);
  });
});

describe('resumableFile', () => {
  it('reads anywhere, and less only at the end', async () => {
    const { client, info, clock } = await script([{ after: 1, error: reset }]);
    const random = resumableFile(client, info, { clock });
    expect(random.size).toBe(26);
    expect(Buffer.from(await random.read(3, 4)).toString()).toBe('defg');
    expect(Buffer.from(await random.read(24, 10)).toString()).toBe('yz');
    expect((await random.read(26, 10)).length).toBe(0);
    expect((await random.read(99, 10)).length).toBe(0);
  });
});

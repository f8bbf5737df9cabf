/** The layer around clients: what it retries, when it gives up, and how an abort ends it. */
import { describe, expect, it } from 'vitest';

import { pause } from '../../../tests/support/wait.ts';
import type { Body, LtxFileInfo, ReplicaClient } from '../src/storage/contract/contract.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { LitestreamError } from '../src/util/error.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { bodyOf, caught, failing, file, jumpingClock, retryable, timestamp } from './client-guard-support.ts';

describe('a file that is to be created', () => {
  it('is refused for a client that would replace one', async () => {
    const inner = new MemoryClient();
    const capabilities = { ...inner.capabilities, conditionalCreate: undefined };
    const client = guardClient(Object.defineProperty(inner, 'capabilities', { value: capabilities }));
    const create = async () => await client.writeLtxFile({ ...file(1), timestamp }, bodyOf('x'), { ifNoneMatch: '*' });
    expect(await caught(create)).toMatchObject({ code: 'UNSUPPORTED', retryable: false });
    expect(await Array.fromAsync(inner.ltxFiles(0))).toEqual([]);
  });

  it('is tried again, and what then stands in the way is the caller’s to judge', async () => {
    const inner = new MemoryClient();
    let lost = 1;
    const write = inner.writeLtxFile.bind(inner);
    inner.writeLtxFile = async (...args) => {
      const info = await write(...args);
      if (lost-- > 0) throw retryable();
      return info;
    };
    const client = guardClient(inner, { clock: jumpingClock() });
    const create = async () => await client.writeLtxFile({ ...file(1), timestamp }, bodyOf('x'), { ifNoneMatch: '*' });
    expect(await caught(create)).toMatchObject({ code: 'PRECONDITION_FAILED', retryable: false });
    expect(await Array.fromAsync(inner.ltxFiles(0))).toHaveLength(1);
  });
});

describe('retries', () => {
  it('repeats what may pass, after 250 ms, 500 ms, 1 s, and then gives the last error', async () => {
    const failure = retryable();
    const { client, calls, clock } = failing({ deleteAll: Array(9).fill(failure) });
    const error = await caught(async () => await client.deleteAll());
    expect(error).toMatchObject({ code: 'NETWORK', operation: 'deleteAll', backend: 'memory' });
    expect(calls).toEqual(['init', 'deleteAll', 'deleteAll', 'deleteAll', 'deleteAll']);
    expect(clock.waits).toEqual([250, 500, 1000]);
  });

  it('shortens waits by chance, up to half', async () => {
    const clock = jumpingClock();
    const { client } = failing({ deleteAll: [retryable(), retryable()] }, { clock, random: () => 0.999_999 });
    await client.deleteAll();
    expect(clock.waits).toEqual([125, 250]);
  });

  it.each([
    ['NOT_FOUND', new LitestreamError('no', { code: 'NOT_FOUND' })],
    ['UNAUTHORIZED', Object.assign(new Error('no'), { statusCode: 401 })],
    ['PERMISSION_DENIED', Object.assign(new Error('no'), { $metadata: { httpStatusCode: 403 } })],
    ['PERMISSION_DENIED', Object.assign(new Error('no'), { code: 'EACCES' })],
    ['DISK_FULL', Object.assign(new Error('no'), { code: 'ENOSPC' })],
    ['BUCKET_MISSING', Object.assign(new Error('no'), { name: 'NoSuchBucket', statusCode: 404 })],
    ['PRECONDITION_FAILED', Object.assign(new Error('no'), { status: 412 })],
    ['PRECONDITION_FAILED', Object.assign(new Error('no'), { status: 409 })],
    ['CONFIG_INVALID', Object.assign(new Error('no'), { statusCode: 301 })],
    ['INTERNAL', new TypeError('a bug in the client')],
    ['PLUGIN_SDK_MISSING', Object.assign(new Error('no'), { code: 'ERR_MODULE_NOT_FOUND' })],
    ['INTERNAL', 'a text that was thrown'],
    ['INTERNAL', undefined],
  ])('never repeats %s', async (code, failure) => {
    const thrown = failure === undefined ? null : failure;
    const { client, calls } = failing({ deleteAll: [thrown, thrown] });
    expect(await caught(async () => await client.deleteAll())).toMatchObject({ code, retryable: false });
    expect(calls.filter((name) => name === 'deleteAll')).toHaveLength(1);
  });

  it.each([
    ['NETWORK', { code: 'ECONNRESET' }],
    ['NETWORK', { code: 'ENOTFOUND' }],
    ['NETWORK', { cause: Object.assign(new Error('inner'), { code: 'ECONNREFUSED' }) }],
    ['TIMEOUT', { code: 'ETIMEDOUT' }],
    ['TIMEOUT', { statusCode: 408 }],
    ['TIMEOUT', { name: 'TimeoutError' }],
    ['THROTTLED', { status: 429 }],
    ['THROTTLED', { name: 'SlowDown', statusCode: 503 }],
    ['UNAVAILABLE', { statusCode: 500 }],
    ['UNAVAILABLE', { statusCode: 503 }],
    ['UNAVAILABLE', { code: 'EMFILE' }],
  ])('repeats %s of %o', async (code, shape) => {
    const failure = Object.assign(new Error('passing'), shape);
    const { client, events } = failing({ deleteAll: [failure] });
    await client.deleteAll();
    expect(events.filter(({ operation }) => operation === 'deleteAll').map((event) => event.code)).toEqual([
      code,
      undefined,
    ]);
  });

  it('asks the client first what its error means', async () => {
    const { client: inner } = { client: new MemoryClient({ before: () => Promise.reject(new Error('E-17')) }) };
    const client = guardClient(
      Object.assign(inner, {
        classify: (error: unknown) =>
          String(error).includes('E-17')
            ? { code: 'UNAUTHORIZED' as const, retryable: false, hint: 'Pay.' }
            : undefined,
      }),
    );
    expect(await caught(async () => await client.deleteAll())).toMatchObject({ code: 'UNAUTHORIZED', hint: 'Pay.' });
  });

  it('repeats a conditional put only where the server surely refused it', async () => {
    const { client, calls } = failing({ 'objects.put': [retryable('THROTTLED'), retryable('NETWORK')] });
    const put = async () => await client.objects?.put('k', Buffer.from('x'), { ifNoneMatch: '*' });
    expect(await caught(put)).toMatchObject({ code: 'NETWORK' });
    expect(calls.filter((name) => name === 'objects.put')).toHaveLength(2);
  });

  it('sends the whole body again', async () => {
    const { client } = failing({});
    let opened = 0;
    const flaky: ReplicaClient = guardClient(
      Object.assign(new MemoryClient(), {
        writeLtxFile: async (_: unknown, body: Body): Promise<LtxFileInfo> => {
          const bytes = Buffer.concat(await Array.fromAsync(body.open()));
          if (opened < 3) throw retryable();
          return { ...file(1), size: bytes.length, timestamp };
        },
      }),
      { clock: jumpingClock() },
    );
    const body: Body = {
      open: () => {
        opened++;
        return bodyOf('one', 'two').open();
      },
    };
    expect((await flaky.writeLtxFile({ ...file(1), timestamp }, body)).size).toBe(6);
    expect(opened).toBe(3);
    await client[Symbol.asyncDispose]();
  });

  it('tells the client all that is known of the body', async () => {
    let told: Body | undefined;
    const watching = Object.assign(new MemoryClient(), {
      writeLtxFile: async (_: unknown, body: Body): Promise<LtxFileInfo> => {
        told = body;
        return { ...file(1), size: 3, timestamp };
      },
    });
    const facts = { size: 3, sizeMax: 4, readAhead: true, path: '/a/file' };
    await guardClient(watching).writeLtxFile({ ...file(1), timestamp }, { ...bodyOf('abc'), ...facts });
    expect(told).toMatchObject(facts);
  });

  it('gives an error of the body to the caller as it is, once', async () => {
    const { client, calls } = failing({});
    const broken = new Error('the source broke');
    const body: Body = {
      open: async function* () {
        yield Buffer.from('x');
        throw broken;
      },
    };
    expect(await caught(async () => await client.writeLtxFile({ ...file(1), timestamp }, body))).toBe(broken);
    expect(calls.filter((name) => name === 'writeLtxFile')).toHaveLength(1);
  });

  it('goes on with a listing where it broke, without a gap or a repetition', async () => {
    const inner = new MemoryClient();
    for (let txid = 1; txid <= 20; txid++) await inner.writeLtxFile({ ...file(txid), timestamp }, bodyOf('x'));
    let listings = 0;
    const client = guardClient(
      Object.assign(Object.create(inner) as ReplicaClient, {
        type: 'memory',
        capabilities: inner.capabilities,
        init: async () => await inner.init(),
        ltxFiles: async function* (level: number, query?: object) {
          listings++;
          let count = 0;
          for await (const info of inner.ltxFiles(level, query)) {
            if (listings < 5 && count++ === 4) throw retryable();
            yield info;
          }
        },
      }),
      { clock: jumpingClock() },
    );
    const txids = (await Array.fromAsync(client.ltxFiles(0))).map(({ minTxid }) => Number(minTxid));
    expect(txids).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(listings).toBe(5);
  });

  it('refuses a listing that is out of order', async () => {
    const client = guardClient(
      Object.assign(new MemoryClient(), {
        ltxFiles: async function* () {
          for (const txid of [1, 3, 2]) yield { ...file(txid), size: 1, timestamp };
        },
      }),
    );
    expect(await caught(async () => await Array.fromAsync(client.ltxFiles(0)))).toMatchObject({ code: 'INTERNAL' });
  });
});

describe('init', () => {
  it('is called once for many callers, and again after it failed', async () => {
    const { client, calls } = failing({ init: Array(4).fill(retryable()) });
    const results = await Promise.allSettled([client.deleteAll(), client.deleteAll(), client.init()]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(calls).toEqual(['init', 'init', 'init', 'init']);
    await Promise.all([client.deleteAll(), client.init(), client.deleteAll()]);
    expect(calls.filter((name) => name === 'init')).toHaveLength(5);
  });

  it('lets one caller go without the others', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const client = guardClient(
      new MemoryClient({ before: async (operation) => (operation === 'init' ? await gate : undefined) }),
    );
    const controller = new AbortController();
    const leaving = caught(async () => await client.deleteAll({ signal: controller.signal }));
    const staying = client.deleteAll();
    controller.abort('bye');
    expect(await leaving).toBe('bye');
    release();
    await staying;
  });

  it('is not called for an argument that is refused, nor once closed', async () => {
    const { client, calls } = failing({});
    await caught(async () => await client.openLtxFile({ ...file(1), level: 10 }));
    expect(calls).toEqual([]);
    await client[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
    expect(await caught(async () => await client.deleteAll())).toMatchObject({ code: 'ABORTED' });
    expect(calls).toEqual([]);
  });
});

describe('timeouts and aborts', () => {
  const hang = (): Promise<never> => new Promise(() => undefined);

  it('ends a call that hangs, and says so', async () => {
    const client = guardClient(
      new MemoryClient({ before: async (operation) => (operation === 'deleteAll' ? await hang() : undefined) }),
      {
        timeoutsMs: { deleteAll: 20 },
        retry: { attemptCountMax: 2, delayMsMin: 1 },
      },
    );
    expect(await caught(async () => await client.deleteAll())).toMatchObject({
      code: 'TIMEOUT',
      retryable: true,
      operation: 'deleteAll',
    });
  });

  it('ends a read that stalls, but not one whose reader pauses', async () => {
    const stalling = Object.assign(new MemoryClient(), {
      openLtxFile: async () =>
        (async function* () {
          yield Buffer.from('a');
          yield Buffer.from('b');
          await hang();
        })(),
    });
    const client = guardClient(stalling, { timeoutsMs: { body: 40 } });
    const seen: string[] = [];
    const error = await caught(async () => {
      for await (const chunk of await client.openLtxFile(file(1))) {
        seen.push(Buffer.from(chunk).toString());
        await pause(100, 'a reader that takes longer than the client may');
      }
    });
    expect(seen).toEqual(['a', 'b']);
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      operation: 'openLtxFile',
      object: expect.stringContaining('0/') as string,
    });
  });

  it('does not count the time a source takes, only the client', async () => {
    const client = guardClient(new MemoryClient(), { timeoutsMs: { writeLtxFile: 30 }, retry: { attemptCountMax: 1 } });
    const slow: Body = {
      open: async function* () {
        for (let index = 0; index < 3; index++) {
          await pause(70, 'a source that takes longer than the client may');
          yield Buffer.from('x');
        }
      },
    };
    expect((await client.writeLtxFile({ ...file(1), timestamp }, slow)).size).toBe(3);
    const stuck = guardClient(Object.assign(new MemoryClient(), { writeLtxFile: async () => await hang() }), {
      timeoutsMs: { writeLtxFile: 30 },
      retry: { attemptCountMax: 1 },
    });
    expect(await caught(async () => await stuck.writeLtxFile({ ...file(1), timestamp }, slow))).toMatchObject({
      code: 'TIMEOUT',
    });
  });

  it.each(['deleteAll', 'openLtxFile', 'ltxFiles', 'writeLtxFile', 'init'])(
    'ends %s at once when the caller aborts, even if the client does not care',
    async (operation) => {
      const client = guardClient(
        new MemoryClient({ before: async (name) => (name === operation ? await hang() : undefined) }),
      );
      const controller = new AbortController();
      const { signal } = controller;
      const calls: Record<string, () => Promise<unknown>> = {
        init: async () => await client.init({ signal }),
        deleteAll: async () => await client.deleteAll({ signal }),
        openLtxFile: async () => await client.openLtxFile(file(1), { signal }),
        ltxFiles: async () => await Array.fromAsync(client.ltxFiles(0, { signal })),
        writeLtxFile: async () => await client.writeLtxFile({ ...file(1), timestamp }, bodyOf('x'), { signal }),
      };
      const pending = caught(async () => await calls[operation]?.());
      const reason = new Error('enough');
      await pause(10, 'the call is under way');
      controller.abort(reason);
      expect(await pending).toBe(reason);
    },
  );

  it('ends the wait before a retry when the caller aborts', async () => {
    const client = guardClient(
      new MemoryClient({ before: (name) => (name === 'deleteAll' ? Promise.reject(retryable()) : undefined) }),
      {
        retry: { delayMsMin: 60_000, delayMsMax: 60_000 },
      },
    );
    const signal = AbortSignal.timeout(20);
    expect(await caught(async () => await client.deleteAll({ signal }))).toBe(signal.reason);
  });

  it('leaves no listener on the signal', async () => {
    const { client } = failing({ deleteAll: [retryable()] });
    let listeners = 0;
    const { signal } = new AbortController();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    await client.writeLtxFile({ ...file(1), timestamp }, bodyOf('x'), { signal });
    await client.deleteAll({ signal });
    await client.writeLtxFile({ ...file(1), timestamp }, bodyOf('x'), { signal });
    await Array.fromAsync(await client.openLtxFile(file(1), { signal }));
    for await (const _ of await client.openLtxFile(file(1), { signal })) break;
    for await (const _ of client.ltxFiles(0, { signal })) break;
    expect(listeners).toBeLessThanOrEqual(0);
  });
});

/** A login page that answers 200 is never taken for the storage: what resolves is stored, or gone, as it says. */
import { randomBytes } from 'node:crypto';

import {
  type Clock,
  type ReplicaClient,
  guardClient,
  isLitestreamError,
  resumableSource,
  systemClock,
} from '@litestream/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { BACKEND_SERVERS, type BackendServer } from '../support/backend-servers.ts';
import { LOGIN_PAGE_KINDS, LoginPage } from '../support/login-page.ts';

const SMALL = randomBytes(1000);
/** Of unknown size, it goes in parts on every backend. */
const LARGE = randomBytes(5.5 * 2 ** 20);
const file = { level: 0, minTxid: 1n, maxTxid: 1n };
const timestamp = new Date('2026-11-24T01:02:03Z');
const guard = { retry: { attemptCountMax: 1 } };
/** The test decides how long the page stays: a wait between two attempts makes no difference. */
const unhurried: Clock = {
  ...systemClock,
  schedule: (_delayMs, task, options) => systemClock.schedule(1, task, options),
};

function bodyOf(bytes: Buffer, size?: number): { size: number | undefined; open: () => AsyncGenerator<Buffer> } {
  return {
    size,
    open: async function* () {
      for (let at = 0; at < bytes.length; at += 65_536) yield await Promise.resolve(bytes.subarray(at, at + 65_536));
    },
  };
}

async function bytesOf(client: ReplicaClient): Promise<Buffer | undefined> {
  try {
    return Buffer.concat(await Array.fromAsync(await client.openLtxFile(file)));
  } catch (error) {
    if (isLitestreamError(error) && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function objectOf(client: ReplicaClient): Promise<string | undefined> {
  try {
    const { body } = (await client.objects?.open('lock.json')) ?? { body: [] };
    return Buffer.concat(await Array.fromAsync(body)).toString();
  } catch (error) {
    if (isLitestreamError(error) && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

interface Deed {
  /** What is there before. */
  readonly prepare?: (direct: ReplicaClient) => Promise<unknown>;
  readonly act: (client: ReplicaClient) => Promise<unknown>;
  /** Throws if it was not done. */
  readonly proof?: (direct: ReplicaClient, given: unknown) => Promise<void>;
  readonly needs?: 'objects' | 'conditions';
  /** Takes its time: not with each kind of page. */
  readonly slow?: boolean;
}

const write = (bytes: Buffer, size?: number, options = {}) => ({
  prepare: async (direct: ReplicaClient) => await direct.deleteAll(),
  act: async (client: ReplicaClient) => await client.writeLtxFile({ ...file, timestamp }, bodyOf(bytes, size), options),
  proof: async (direct: ReplicaClient) => expect((await bytesOf(direct))?.equals(bytes)).toBe(true),
});
const one = async (direct: ReplicaClient) => await direct.writeLtxFile({ ...file, timestamp }, bodyOf(SMALL, 1000));
const none = async (direct: ReplicaClient) => expect(await bytesOf(direct)).toBe(undefined);
const lock = async (direct: ReplicaClient) => await direct.objects?.put('lock.json', Buffer.from('old'));

const DEEDS: Readonly<Record<string, Deed>> = {
  'a file is written': write(SMALL, SMALL.length),
  'a file is created': write(SMALL, SMALL.length, { ifNoneMatch: '*' }),
  'a file of unknown size is written': write(SMALL),
  'a file of no bytes is written': write(Buffer.alloc(0), 0),
  'a file is written in parts': { ...write(LARGE), slow: true },
  'a file is replaced': { ...write(LARGE), prepare: one, slow: true },
  'a file is deleted': { prepare: one, act: async (client) => await client.deleteLtxFiles([file]), proof: none },
  'all files are deleted': { prepare: one, act: async (client) => await client.deleteAll(), proof: none },
  // As restores read.
  'a file is listed and read': {
    slow: true,
    prepare: one,
    act: async (client) => {
      const [info] = await Array.fromAsync(client.ltxFiles(0));
      return info && Buffer.concat(await Array.fromAsync(resumableSource(client, info, { clock: unhurried })));
    },
    proof: async (_direct, given) => expect(SMALL.equals(given as Buffer)).toBe(true),
  },
  'a range past the end is read': {
    prepare: one,
    act: async (client) =>
      Buffer.concat(await Array.fromAsync(await client.openLtxFile(file, { offset: 5000, size: 9 }))),
    proof: async (_direct, given) => expect(given).toEqual(Buffer.alloc(0)),
  },
  'no bytes are read': {
    prepare: one,
    act: async (client) => (await client.openLtxFile(file, { size: 0 })).info?.size,
    proof: async (_direct, given) => expect([undefined, 1000]).toContain(given),
  },
  'an object is put': {
    needs: 'objects',
    prepare: lock,
    act: async (client) => await client.objects?.put('lock.json', Buffer.from('new')),
    proof: async (direct) => expect(await objectOf(direct)).toBe('new'),
  },
  'an object is created': {
    needs: 'conditions',
    prepare: async (direct) => await direct.objects?.delete('lock.json'),
    act: async (client) => await client.objects?.put('lock.json', Buffer.from('new'), { ifNoneMatch: '*' }),
    proof: async (direct) => expect(await objectOf(direct)).toBe('new'),
  },
  'an object is opened': {
    needs: 'objects',
    prepare: lock,
    act: objectOf,
    proof: async (_direct, given) => expect(given).toBe('old'),
  },
  'an object is deleted': {
    needs: 'objects',
    prepare: lock,
    act: async (client) => await client.objects?.delete('lock.json'),
    proof: async (direct) => expect(await objectOf(direct)).toBe(undefined),
  },
  'a version of an object is deleted': {
    needs: 'conditions',
    prepare: lock,
    act: async (client) => {
      const [found] = await Array.fromAsync(client.objects?.list('lock.json') ?? []);
      await client.objects?.delete('lock.json', { ifMatch: found?.version ?? '' });
    },
    proof: async (direct) => expect(await objectOf(direct)).toBe(undefined),
  },
};

describe.each(Object.keys(BACKEND_SERVERS).filter((name) => name !== 'sftp'))('%s', (name) => {
  let backend: BackendServer;
  beforeAll(async () => {
    const made = await BACKEND_SERVERS[name]?.();
    if (made === undefined) throw new Error(name);
    backend = made;
  });
  afterAll(async () => await backend.server[Symbol.asyncDispose]());

  test.each(Object.entries(DEEDS))(
    'a login page is not believed where %s',
    async (_what, { needs, slow, prepare, act, proof }) => {
      await using direct = guardClient(backend.through(backend.port));
      if (needs !== undefined && direct.capabilities[needs] !== true) return;
      await using portal = await LoginPage.before(backend.port);

      /** @returns how many requests it took */
      const attempt = async (kind: number, isMine: (index: number) => boolean, what: string): Promise<number> => {
        await prepare?.(direct);
        portal.disarm();
        await using client = guardClient(backend.through(portal.port), guard);
        await client.init();
        portal.arm(kind, isMine);
        let given: unknown;
        try {
          given = await act(client);
        } catch (error) {
          // A page in the place of a file has another size.
          const codes = slow === true ? ['UNAVAILABLE', 'OBJECT_CHANGED'] : ['UNAVAILABLE'];
          expect(codes, `${what}: ${String(error)}`).toContain(isLitestreamError(error) ? error.code : error);
          return portal.count;
        }
        try {
          await proof?.(direct, given);
        } catch (error) {
          throw new Error(`${what}: it was believed`, { cause: error });
        }
        return portal.count;
      };

      const count = await attempt(0, () => false, 'no page');
      expect(count).toBeGreaterThan(0);
      for (let kind = 0; kind < (slow === true ? 2 : LOGIN_PAGE_KINDS); kind++) {
        for (let first = 0; first < count; first++) {
          await attempt(kind, (index) => index >= first, `page ${kind} from request ${first} of ${count} on`);
          await attempt(kind, (index) => index === first, `page ${kind} to request ${first} of ${count}`);
        }
      }
    },
  );
});

/** Clients that are wrong about objects by key in one way each, and the case that must say so. */
import type { ObjectInfo, Op } from '../src/storage/contract/contract.ts';
import { LitestreamError, hasCode } from '../src/util/error.ts';
import { objects } from './client-broken-support.ts';
import type { BrokenClients } from './client-broken-support.ts';

/** The same objects, described otherwise. */
async function* described(
  list: AsyncIterable<ObjectInfo>,
  change: (info: ObjectInfo) => ObjectInfo,
): AsyncGenerator<ObjectInfo> {
  for await (const info of list) yield change(info);
}

export const BROKEN_OBJECTS: BrokenClients = {
  'lists the year 1970': {
    fails: 'an object is put, listed, opened and deleted by its key',
    make: (inner) =>
      objects(inner, {
        list: (prefix, op) =>
          described(inner.objects.list(prefix, op), (info) => ({ ...info, lastModified: new Date(0) })),
      }),
  },
  'forgets the second page of objects': {
    fails: 'many objects: every page is listed',
    make: (inner) =>
      objects(inner, {
        list: async function* (prefix, op) {
          yield* (await Array.fromAsync(inner.objects.list(prefix, op))).slice(0, 1000);
        },
      }),
  },
  'gives every content the same version': {
    fails: 'putting an object again replaces it and changes its version',
    make: (inner) =>
      objects(inner, {
        put: async (key, body, conditions) => ({ ...(await inner.objects.put(key, body, conditions)), version: 'v' }),
      }),
  },
  'takes an object of no bytes for a folder': {
    fails: 'an object of no bytes is an object',
    make: (inner) =>
      objects(inner, {
        list: async function* (prefix, op) {
          for await (const info of inner.objects.list(prefix, op)) if (info.size > 0) yield info;
        },
      }),
  },
  'fails to delete an object that is gone': {
    fails: 'deleting an object that is gone is no error',
    make: (inner) =>
      objects(inner, {
        delete: async (key, conditions) => {
          await inner.objects.open(key);
          await inner.objects.delete(key, conditions);
        },
      }),
  },
  'lists the objects of neighbours whose path begins the same': {
    fails: 'objects of a neighbouring path are not seen',
    make: (inner, store, path) =>
      objects(inner, {
        list: async function* (prefix, op) {
          yield* inner.objects.list(prefix, op);
          for (const key of store.keys(path)) {
            if (!key.startsWith(`${path}/`)) yield { key, size: 1, lastModified: new Date() };
          }
        },
      }),
  },
  'has objects, and does not say so': {
    fails: 'objects declared false are absent, or reject as UNSUPPORTED',
    make: (inner) => ({ capabilities: { ...inner.capabilities, objects: false } }),
  },
  'deletes under conditions, and does not say so': {
    fails: 'conditional deletes declared false reject as UNSUPPORTED',
    make: (inner) => ({ capabilities: { ...inner.capabilities, conditionalDelete: false } }),
  },
  'ignores an abort of operations on objects': {
    fails: 'an aborted signal stops every operation on objects before it starts',
    make: (inner) =>
      objects(inner, { delete: async (key, { ifMatch } = {}) => inner.objects.delete(key, { ifMatch }) }),
  },
  'lists foreign files as LTX files': {
    fails: 'what is no LTX file is not listed',
    make: (inner) => ({
      ltxFiles: async function* (level: number, query?: Op) {
        for await (const { key, size, lastModified } of inner.objects.list(`ltx/${level}/`, query)) {
          const [, min = '', max = ''] = /([0-9a-f]{16})-([0-9a-f]{16})\.ltx/i.exec(key) ?? [];
          if (max === '') continue;
          yield { level, minTxid: BigInt(`0x${min}`), maxTxid: BigInt(`0x${max}`), size, timestamp: lastModified };
        }
      },
    }),
  },
  'ignores ifMatch': {
    fails: 'ifMatch replaces an object only if it is the version named',
    make: (inner) =>
      objects(inner, {
        put: async (key, body, { ifNoneMatch, signal } = {}) => inner.objects.put(key, body, { ifNoneMatch, signal }),
      }),
  },
  'lists versions in quotation marks, and gives them without': {
    fails: 'put, open and list name the same version',
    make: (inner) =>
      objects(inner, {
        list: (prefix, op) =>
          described(inner.objects.list(prefix, op), (info) => ({ ...info, version: `"${info.version}"` })),
      }),
  },
  'takes a conditional delete of what is gone for done': {
    fails: 'delete with ifMatch of what is gone rejects with NOT_FOUND',
    make: (inner) =>
      objects(inner, {
        delete: async (key, conditions) =>
          inner.objects.delete(key, conditions).catch((error: unknown) => {
            if (!hasCode(error, 'NOT_FOUND')) throw error;
          }),
      }),
  },
  'says of a condition that does not hold that the server is away': {
    fails: 'a lease is acquired, renewed, released, and taken over when it has expired',
    make: (inner) =>
      objects(inner, {
        put: async (key, body, conditions) =>
          inner.objects.put(key, body, conditions).catch((error: unknown) => {
            throw hasCode(error, 'PRECONDITION_FAILED') ? new LitestreamError('409', { code: 'UNAVAILABLE' }) : error;
          }),
      }),
  },
};

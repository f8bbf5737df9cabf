/** Clients that write, delete, abort or compare wrongly in one way each, and the case that must say so. */
import { pause } from '../../../tests/support/wait.ts';
import { LitestreamError } from '../src/util/error.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { objects, reread, same } from './client-broken-support.ts';
import type { BrokenClients, Query } from './client-broken-support.ts';

export const BROKEN_WRITERS: BrokenClients = {
  'refuses empty files': {
    fails: 'a file of no bytes is a file',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        if ((await Array.fromAsync(body.open())).length === 0) throw new Error('empty');
        return await inner.writeLtxFile(file, body, op);
      },
    }),
  },
  'keeps the chunks it is lent': {
    fails: 'a chunk is not used after the next one was asked for',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const parts = await Array.fromAsync(body.open());
        return await inner.writeLtxFile(file, { size: body.size, open: () => reread(parts) }, op);
      },
    }),
  },
  'drops a part of a large object': {
    fails: 'an object of several parts is stored whole',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const open = async function* () {
          let sent = 0;
          for await (const chunk of body.open()) {
            sent += chunk.byteLength;
            if (sent < 5_000_000 || sent > 5_100_000) yield chunk;
          }
        };
        return await inner.writeLtxFile(file, { size: body.size, open }, op);
      },
    }),
  },
  'does not overwrite': {
    fails: 'writing a file again replaces it',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        for await (const info of inner.ltxFiles(file.level)) if (same(info, file)) return info;
        return await inner.writeLtxFile(file, body, op);
      },
    }),
  },
  'writes in place': {
    fails: 'a file is invisible until it is whole',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const parts: Uint8Array[] = [];
        for await (const chunk of body.open()) {
          parts.push(chunk.slice());
          await inner.writeLtxFile(file, { open: () => reread(parts) });
        }
        return await inner.writeLtxFile(file, { size: body.size, open: () => reread(parts) }, op);
      },
    }),
  },
  'stores what came before its source failed': {
    fails: 'a body that fails stores nothing',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const parts: Uint8Array[] = [];
        try {
          for await (const chunk of body.open()) parts.push(chunk.slice());
        } catch (error) {
          await inner.writeLtxFile(file, { open: () => reread(parts) });
          throw error;
        }
        return await inner.writeLtxFile(file, { size: body.size, open: () => reread(parts) }, op);
      },
    }),
  },
  'swallows the failure of its source': {
    fails: 'a body that fails stores nothing',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const parts: Uint8Array[] = [];
        try {
          for await (const chunk of body.open()) parts.push(chunk.slice());
        } catch {
          parts.push(Buffer.from('…'));
        }
        return await inner.writeLtxFile(file, { open: () => reread(parts) }, op);
      },
    }),
  },
  'deletes the older file first': {
    fails: 'a body that fails leaves the older file whole',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        await inner.deleteLtxFiles([file]);
        return await inner.writeLtxFile(file, body, op);
      },
    }),
  },
  'believes the announced size': {
    fails: 'a body shorter or longer than announced stores nothing',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => await inner.writeLtxFile(file, { open: () => body.open() }, op),
    }),
  },
  'fails to delete what is gone': {
    fails: 'deleting what is gone is no error',
    make: (inner) => ({
      deleteLtxFiles: async (files, op) => {
        for (const file of files) await inner.openLtxFile(file);
        await inner.deleteLtxFiles(files, op);
      },
    }),
  },
  'deletes a thousand and forgets the rest': {
    fails: 'thousands of files, some of them gone, are deleted in one call',
    make: (inner) => ({ deleteLtxFiles: async (files, op) => await inner.deleteLtxFiles(files.slice(0, 1000), op) }),
  },
  'deletes by prefix of the name': {
    fails: 'deletes the named files and no others',
    make: (inner) => ({
      deleteLtxFiles: async (files) => {
        const doomed = await Array.fromAsync(inner.ltxFiles(0));
        await inner.deleteLtxFiles(doomed.filter((info) => files.some((file) => file.minTxid === info.minTxid)));
      },
    }),
  },
  'says another time than it stores': {
    fails: 'timestamps come back exactly where the client says so',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => ({
        ...(await inner.writeLtxFile(file, body, op)),
        timestamp: new Date(),
      }),
    }),
  },
  'leaves a part of an aborted write under another name': {
    fails: 'an aborted write leaves nothing behind',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        try {
          return await inner.writeLtxFile(file, body, op);
        } catch (error) {
          await inner.objects.put('ltx/0/unfinished.tmp', Buffer.from('part'));
          throw error;
        }
      },
    }),
  },
  'swallows the errors of deletions': {
    fails: 'an unreachable host rejects with NETWORK or TIMEOUT',
    make: (inner) => ({
      deleteLtxFiles: async (files, op) => await inner.deleteLtxFiles(files, op).catch(() => undefined),
    }),
  },
  'deletes level 0 only': {
    fails: 'deleteAll deletes the files of every level',
    make: (inner) => ({
      deleteAll: async (op) => await inner.deleteLtxFiles(await Array.fromAsync(inner.ltxFiles(0)), op),
    }),
  },
  'deletes neighbours whose path begins the same': {
    fails: 'deleteAll leaves a neighbour alone whose path begins the same',
    make: (_, store, path) => ({
      deleteAll: async () => {
        for (const key of store.keys(path)) store.entries.delete(key);
      },
    }),
  },
  'deletes objects that are not its own': {
    fails: 'deleteAll leaves objects alone that are no LTX files',
    make: (_, store, path) => ({
      deleteAll: async () => {
        for (const key of store.keys(`${path}/`)) store.entries.delete(key);
      },
    }),
  },
  'shares one folder among all paths': {
    fails: 'replicas of neighbouring paths do not see each other',
    make: (_, store) => {
      const shared = new MemoryClient({ store, path: 'shared' });
      return {
        ltxFiles: (level, query) => shared.ltxFiles(level, query),
        writeLtxFile: async (file, body, op) => await shared.writeLtxFile(file, body, op),
      };
    },
  },
  'ignores an abort before the start': {
    fails: 'an aborted signal stops every operation before it starts',
    make: (inner) => ({ deleteAll: async () => await inner.deleteAll() }),
  },
  'rejects an abort with an error of its own': {
    fails: 'an aborted signal stops every operation before it starts',
    make: (inner) => ({
      deleteAll: async (op) => {
        if (op?.signal?.aborted === true) throw new Error('AbortError');
        await inner.deleteAll();
      },
    }),
  },
  'ignores an abort of a write': {
    fails: 'an aborted write leaves nothing behind',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        op?.signal?.throwIfAborted();
        return await inner.writeLtxFile(file, body);
      },
    }),
  },
  'ignores an abort of a read': {
    fails: 'an abort ends a read in the middle',
    make: (inner) => ({
      openLtxFile: async (file, range) => {
        range?.signal?.throwIfAborted();
        return await inner.openLtxFile(file, { offset: range?.offset, size: range?.size });
      },
    }),
  },
  'ends a read quietly when it is aborted': {
    fails: 'an abort ends a read in the middle',
    make: (inner) => ({
      openLtxFile: async (file, range) => {
        const body = await inner.openLtxFile(file, { offset: range?.offset, size: range?.size });
        range?.signal?.throwIfAborted();
        return (async function* () {
          for await (const chunk of body) {
            if (range?.signal?.aborted === true) return;
            yield chunk;
          }
        })();
      },
    }),
  },
  'ignores an abort of a listing': {
    fails: 'an abort ends a listing in the middle',
    make: (inner) => ({
      ltxFiles: async function* (level: number, query: Query) {
        query?.signal?.throwIfAborted();
        yield* inner.ltxFiles(level, { seek: query?.seek });
      },
    }),
  },
  'creates something at init': {
    fails: 'init makes nothing that a listing shows',
    make: (inner) => ({ init: async () => void (await inner.objects.put('.keep', Buffer.from(''))) }),
  },
  'ends its neighbours with itself': {
    fails: 'dispose can be repeated, and ends no other client',
    make: (_, store) => ({ [Symbol.asyncDispose]: async () => store.entries.clear() }),
  },
  'fails to be disposed twice': {
    fails: 'dispose can be repeated, and ends no other client',
    make: () => {
      let disposed = false;
      return {
        [Symbol.asyncDispose]: async () => {
          if (disposed) throw new Error('already closed');
          disposed = true;
        },
      };
    },
  },
  'lists objects by the units of UTF-16, and unsorted': {
    fails: 'objects are listed by prefix, in the order of their keys',
    make: (inner) =>
      objects(inner, {
        list: async function* (prefix) {
          yield* (await Array.fromAsync(inner.objects.list(prefix))).toReversed();
        },
      }),
  },
  'takes a prefix for a folder': {
    fails: 'objects are listed by prefix, in the order of their keys',
    make: (inner) =>
      objects(inner, {
        list: (prefix, op) => inner.objects.list(prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`, op),
      }),
  },
  'describes the range in place of the object': {
    fails: 'an object is read in ranges',
    make: (inner) =>
      objects(inner, {
        open: async (key, range) => {
          const { info, body } = await inner.objects.open(key, range);
          return { body, info: { ...info, size: range?.size ?? info.size } };
        },
      }),
  },
  'ignores ifNoneMatch': {
    fails: 'ifNoneMatch creates an object only if there is none',
    make: (inner) =>
      objects(inner, { put: async (key, body, { signal } = {}) => await inner.objects.put(key, body, { signal }) }),
  },
  'checks ifNoneMatch, then writes': {
    fails: 'of eight that create an object at once exactly one wins',
    make: (inner) =>
      objects(inner, {
        put: async (key, body, conditions = {}) => {
          const { ifNoneMatch, ...rest } = conditions;
          if (ifNoneMatch === undefined) return await inner.objects.put(key, body, rest);
          const there = await inner.objects.open(key).then(
            () => true,
            () => false,
          );
          if (there) throw new LitestreamError('there', { code: 'PRECONDITION_FAILED' });
          await pause(1, 'others check meanwhile');
          return await inner.objects.put(key, body, rest);
        },
      }),
  },
  'checks ifMatch, then writes': {
    fails: 'of eight that replace a version at once exactly one wins',
    make: (inner) =>
      objects(inner, {
        put: async (key, body, conditions = {}) => {
          const { ifMatch, ...rest } = conditions;
          if (ifMatch === undefined) return await inner.objects.put(key, body, rest);
          const now = await inner.objects.open(key).then(
            ({ info }) => info.version,
            () => undefined,
          );
          if (now !== ifMatch) throw new LitestreamError('changed', { code: 'PRECONDITION_FAILED' });
          await pause(1, 'others check meanwhile');
          return await inner.objects.put(key, body, rest);
        },
      }),
  },
  'creates with ifMatch': {
    fails: 'ifMatch never creates an object',
    make: (inner) =>
      objects(inner, {
        put: async (key, body, conditions = {}) => {
          const there = await inner.objects.open(key).then(
            () => true,
            () => false,
          );
          return await inner.objects.put(key, body, there ? conditions : { signal: conditions.signal });
        },
      }),
  },
  'ignores ifMatch on delete': {
    fails: 'delete with ifMatch deletes the version named, and no other',
    make: (inner) => objects(inner, { delete: async (key) => await inner.objects.delete(key) }),
  },
  'has no conditions, and does not say so': {
    fails: 'conditions declared false reject as UNSUPPORTED',
    make: (inner) => ({ capabilities: { ...inner.capabilities, conditions: false } }),
  },
  'declares objects it does not have': {
    fails: 'type and capabilities are well formed',
    make: () => ({ objects: undefined }),
  },
  'keeps quiet about an empty bucket that is missing': {
    fails: 'a missing bucket rejects with BUCKET_MISSING',
    make: () => ({}),
  },
};

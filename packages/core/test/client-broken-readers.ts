/** Clients that list or read wrongly in one way each, and the case of the suite that must say so. */
import type { LtxFileBody, LtxFileInfo } from '../src/storage/contract/contract.ts';
import { LitestreamError } from '../src/util/error.ts';
import { listing, reading, reread } from './client-broken-support.ts';
import type { BrokenClients, Query } from './client-broken-support.ts';

export const BROKEN_READERS: BrokenClients = {
  'lists in the order of writing': {
    fails: 'a listing ascends by minTxid, then maxTxid, whatever the order of writing',
    make: (inner) => listing(inner, (files) => files.toSorted(() => -1)),
  },
  'sorts TXIDs as decimal texts': {
    fails: 'a listing ascends by minTxid, then maxTxid, whatever the order of writing',
    make: (inner) =>
      listing(inner, (files) => files.toSorted((a, b) => (String(a.minTxid) < String(b.minTxid) ? -1 : 1))),
  },
  'keeps TXIDs as numbers': {
    fails: 'TXIDs of all 64 bits survive',
    make: (inner) =>
      listing(inner, (files) =>
        files.map((info) => ({
          ...info,
          minTxid: BigInt(Number(info.minTxid)),
          maxTxid: BigInt(Number(info.maxTxid)),
        })),
      ),
  },
  'forgets the second page': {
    fails: 'many files: every page is listed, in order, and seek reaches into any of them',
    make: (inner) => listing(inner, (files) => files.slice(0, 1000)),
  },
  'lists a page twice': {
    fails: 'many files: every page is listed, in order, and seek reaches into any of them',
    make: (inner) => listing(inner, (files) => [...files.slice(0, 1000), ...files.slice(999)]),
  },
  'ignores seek': {
    fails: 'seek leaves out files that start before it',
    make: (inner) => ({ ltxFiles: (level, query) => inner.ltxFiles(level, { ...query, seek: undefined }) }),
  },
  'seeks by maxTxid': {
    fails: 'seek leaves out files that start before it',
    make: (inner) => ({
      ltxFiles: async function* (level: number, query: Query) {
        for await (const info of inner.ltxFiles(level)) if (info.maxTxid >= (query?.seek ?? 0n)) yield info;
      },
    }),
  },
  'seeks past the file asked for': {
    fails: 'seek leaves out files that start before it',
    make: (inner) => ({
      ltxFiles: (level, query) =>
        inner.ltxFiles(level, query?.seek === undefined ? query : { ...query, seek: query.seek + 1n }),
    }),
  },
  'fails on an empty level': {
    fails: 'an empty level lists nothing, and is no error',
    make: (inner) => ({
      ltxFiles: async function* (level: number, query: Query) {
        const files = await Array.fromAsync(inner.ltxFiles(level, query));
        if (files.length === 0) throw new LitestreamError('no such folder', { code: 'NOT_FOUND' });
        yield* files;
      },
    }),
  },
  'mixes levels': {
    fails: 'a level lists its own files only',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => await inner.writeLtxFile({ ...file, level: 0 }, body, op),
    }),
  },
  'leaves snapshots out where it lists all levels': {
    fails: 'a level lists its own files only',
    make: (inner) => ({
      allLtxFiles: async function* () {
        for (let level = 0; level < 9; level++) yield* inner.ltxFiles(level);
      },
    }),
  },
  'shows what it wrote too late': {
    fails: 'a listing shows a write at once, and a deletion at once',
    make: (inner) => {
      let stale: LtxFileInfo[] = [];
      return {
        ltxFiles: async function* (level: number, query: Query) {
          yield* stale.filter((info) => info.level === level && info.minTxid >= (query?.seek ?? 0n));
          stale = await Array.fromAsync(inner.ltxFiles(level));
        },
      };
    },
  },
  'cuts timestamps to seconds': {
    fails: 'timestamps come back exactly where the client says so',
    make: (inner) =>
      listing(inner, (files) =>
        files.map((info) => ({ ...info, timestamp: new Date(Math.floor(info.timestamp.getTime() / 1000) * 1000) })),
      ),
  },
  'lists sizes of nought': {
    fails: 'a file is listed as it was written: level, TXIDs, size',
    make: (inner) => listing(inner, (files) => files.map((info) => ({ ...info, size: 0 }))),
  },
  'ends a file early': {
    fails: 'a file reads back byte by byte',
    make: (inner) =>
      reading(inner, async function* (body) {
        let left = 65_536;
        for await (const chunk of body) {
          yield chunk.subarray(0, left);
          left -= Math.min(left, chunk.byteLength);
        }
      }),
  },
  'swallows an error in the middle of a file': {
    fails: 'a file reads back byte by byte',
    make: (inner) =>
      reading(inner, async function* (body) {
        let count = 0;
        for await (const chunk of body) {
          if (count++ === 1) return;
          yield chunk;
        }
      }),
  },
  'truncates ranges': {
    fails: 'a range reads exactly its bytes',
    make: (inner) => ({
      openLtxFile: async (file, range) =>
        await inner.openLtxFile(
          file,
          range?.size === undefined ? range : { ...range, size: Math.max(0, range.size - 1) },
        ),
    }),
  },
  'takes the size of a range for its end, inclusive': {
    fails: 'a range reads exactly its bytes',
    make: (inner) => ({
      openLtxFile: async (file, range) =>
        await inner.openLtxFile(file, range?.size === undefined ? range : { ...range, size: range.size + 1 }),
    }),
  },
  'ignores the offset of a range': {
    fails: 'a range reads exactly its bytes',
    make: (inner) => ({ openLtxFile: async (file, range) => await inner.openLtxFile(file, { ...range, offset: 0 }) }),
  },
  'rejects ranges past the end': {
    fails: 'a range past the end gives the bytes there are, possibly none',
    make: (inner) => ({
      openLtxFile: async (file, range) => {
        const whole = Buffer.concat(await Array.fromAsync(await inner.openLtxFile(file)));
        if ((range?.offset ?? 0) >= whole.length && whole.length > 0)
          throw Object.assign(new Error('416'), { status: 416 });
        return await inner.openLtxFile(file, range);
      },
    }),
  },
  'takes a range of no bytes for the rest': {
    fails: 'a range of no bytes gives none',
    make: (inner) => ({
      openLtxFile: async (file, range) => await inner.openLtxFile(file, { ...range, size: range?.size || undefined }),
    }),
  },
  'gives an empty body for a missing file': {
    fails: 'a missing file rejects with NOT_FOUND before the first byte',
    make: (inner) => ({
      openLtxFile: async (file, range) => await inner.openLtxFile(file, range).catch(() => (async function* () {})()),
    }),
  },
  'says a missing file only when it is read': {
    fails: 'a missing file rejects with NOT_FOUND before the first byte',
    make: (inner) => ({
      openLtxFile: async (file, range): Promise<LtxFileBody> =>
        (async function* () {
          yield* await inner.openLtxFile(file, range);
        })(),
    }),
  },
  'says INTERNAL for a missing file': {
    fails: 'a missing file rejects with NOT_FOUND before the first byte',
    make: (inner) => ({
      openLtxFile: async (file, range) =>
        await inner.openLtxFile(file, range).catch(() => {
          throw new Error('it is not there');
        }),
    }),
  },
  'reuses the memory of its chunks': {
    fails: 'a file reads back byte by byte',
    make: (inner) =>
      reading(inner, async function* (body) {
        const memory = new Uint8Array(65_536);
        for await (const chunk of body) {
          memory.set(chunk);
          yield memory.subarray(0, chunk.byteLength);
        }
      }),
  },
  'has one cursor for all listings': {
    fails: 'a listing that is left early can be taken up again',
    make: (inner) => {
      let files: LtxFileInfo[] = [];
      return {
        ltxFiles: async function* (level: number, query: Query) {
          files = await Array.fromAsync(inner.ltxFiles(level, query));
          for (let file = files.shift(); file !== undefined; file = files.shift()) yield file;
        },
      };
    },
  },
  'lists another version every time': {
    fails: 'size and version learnt on opening are those of the listing',
    make: (inner) => {
      let count = 0;
      return {
        ...listing(inner, (files) => files.map((info) => ({ ...info, version: `listing ${count++}` }))),
        openLtxFile: async (file, range) => reread(await inner.openLtxFile(file, range)),
      };
    },
  },
  'takes a server that cannot be reached for an empty replica': {
    fails: 'an unreachable host rejects with NETWORK or TIMEOUT',
    make: (inner) => ({
      ltxFiles: async function* (level: number, query: Query) {
        yield* await Array.fromAsync(inner.ltxFiles(level, query)).catch(() => []);
      },
    }),
  },
  'gives a version of its own to every read': {
    fails: 'size and version learnt on opening are those of the listing',
    make: (inner) => {
      let count = 0;
      return {
        openLtxFile: async (file, range) =>
          Object.assign(reread(await inner.openLtxFile(file, range)), { info: { version: `read ${count++}` } }),
      };
    },
  },
  'keeps the version when the content changes': {
    fails: 'size and version learnt on opening are those of the listing',
    make: (inner) => ({
      ...listing(inner, (files) => files.map((info) => ({ ...info, version: 'same' }))),
      openLtxFile: async (file, range) => reread(await inner.openLtxFile(file, range)),
    }),
  },
};

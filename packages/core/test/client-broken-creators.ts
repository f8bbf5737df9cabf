/** Clients that create files wrongly in one way each, and the case that must say so. */
import type { LtxFileRef } from '../src/storage/contract/contract.ts';
import { LitestreamError } from '../src/util/error.ts';
import type { MemoryClient } from '../src/testing/index.ts';
import { same } from './client-broken-support.ts';
import type { BrokenClients } from './client-broken-support.ts';

const taken = (): LitestreamError => new LitestreamError('the file exists', { code: 'PRECONDITION_FAILED' });

async function isThere(inner: MemoryClient, file: LtxFileRef): Promise<boolean> {
  return (await Array.fromAsync(inner.ltxFiles(file.level))).some((info) => same(info, file));
}

export const BROKEN_CREATORS: BrokenClients = {
  'ignores ifNoneMatch of a file': {
    fails: 'a file is created only if there is none, and otherwise left as it is',
    make: (inner) => ({
      writeLtxFile: async (file, body, { signal } = {}) => await inner.writeLtxFile(file, body, { signal }),
    }),
  },
  'replaces a file, then says that it was there': {
    fails: 'a file is created only if there is none, and otherwise left as it is',
    make: (inner) => ({
      writeLtxFile: async (file, body, { signal, ifNoneMatch } = {}) => {
        const wasThere = await isThere(inner, file);
        const info = await inner.writeLtxFile(file, body, { signal });
        if (wasThere && ifNoneMatch === '*') throw taken();
        return info;
      },
    }),
  },
  'says that it created the file that was there': {
    fails: 'a file is created only if there is none, and otherwise left as it is',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const there = await Array.fromAsync(inner.ltxFiles(file.level));
        const older = there.find((info) => same(info, file));
        if (older !== undefined && op?.ifNoneMatch === '*') return older;
        return await inner.writeLtxFile(file, body, op);
      },
    }),
  },
  'refuses what was deleted before': {
    fails: 'a file is created only if there is none, and otherwise left as it is',
    make: (inner) => {
      const seen = new Set<bigint>();
      return {
        writeLtxFile: async (file, body, op) => {
          if (op?.ifNoneMatch === '*' && seen.has(file.minTxid)) throw taken();
          seen.add(file.minTxid);
          return await inner.writeLtxFile(file, body, op);
        },
      };
    },
  },
  'ignores ifNoneMatch of an object of several parts': {
    fails: 'an object of several parts is created only if there is none',
    make: (inner) => ({
      writeLtxFile: async (file, body, { signal, ifNoneMatch } = {}) =>
        await inner.writeLtxFile(file, body, body.size === undefined ? { signal } : { signal, ifNoneMatch }),
    }),
  },
  'looks, then creates': {
    fails: 'of several that create a file at once exactly one wins',
    make: (inner) => ({
      writeLtxFile: async (file, body, { signal, ifNoneMatch } = {}) => {
        if (ifNoneMatch === '*' && (await isThere(inner, file))) throw taken();
        return await inner.writeLtxFile(file, body, { signal });
      },
    }),
  },
  'looks, then creates an object of several parts': {
    fails: 'of two that create an object of several parts at once exactly one wins',
    make: (inner) => ({
      writeLtxFile: async (file, body, { signal, ifNoneMatch } = {}) => {
        if (ifNoneMatch === '*' && (await isThere(inner, file))) throw taken();
        return await inner.writeLtxFile(file, body, { signal });
      },
    }),
  },
};

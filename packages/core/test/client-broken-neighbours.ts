/** Clients that go wrong only beside others, or at the edges of what is asked, and the case that must say so. */
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

import { pause } from '../../../tests/support/wait.ts';
import type { LtxFileRef } from '../src/storage/contract/contract.ts';
import { LitestreamError } from '../src/util/error.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { reread } from './client-broken-support.ts';
import type { BrokenClients } from './client-broken-support.ts';

export const BROKEN_NEIGHBOURS: BrokenClients = {
  'begins anew with every init': {
    fails: 'init is idempotent, also when called at once',
    make: (inner) => ({ init: async () => inner.deleteAll() }),
  },
  'keeps its files to itself': {
    fails: 'what one client wrote another one reads',
    make: () => {
      const own = new MemoryClient();
      return {
        ltxFiles: (level, query) => own.ltxFiles(level, query),
        writeLtxFile: async (file, body, op) => own.writeLtxFile(file, body, op),
      };
    },
  },
  'forgets seek where it asks for metadata': {
    fails: 'useMetadata changes no more than timestamps',
    make: (inner) => ({
      ltxFiles: (level, query) =>
        inner.ltxFiles(level, query?.useMetadata === true ? { ...query, seek: undefined } : query),
    }),
  },
  'takes a single byte for the end': {
    fails: 'a file of one byte is a file',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const open = async function* () {
          for await (const chunk of body.open()) if (chunk.byteLength > 1) yield chunk;
        };
        return await inner.writeLtxFile(file, { open }, op);
      },
    }),
  },
  'reads ranges, and does not say so': {
    fails: 'ranges declared false reject as UNSUPPORTED',
    make: (inner) => ({ capabilities: { ...inner.capabilities, ranges: false } }),
  },
  'has one place for the file that is being opened': {
    fails: 'many reads at once do not disturb each other',
    make: (inner) => {
      let current: LtxFileRef | undefined;
      return {
        openLtxFile: async (file, range) => {
          current = file;
          await pause(1, 'others open meanwhile');
          return await inner.openLtxFile(current, range);
        },
      };
    },
  },
  'keeps the connection of a reader that left': {
    fails: 'a reader that stops early leaves nothing open',
    make: (inner) => {
      const sockets: Socket[] = [];
      const server = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
      return {
        openLtxFile: async (file, range) => {
          if (!server.listening) await once(server, 'listening');
          const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
          await once(socket, 'connect');
          sockets.push(socket);
          const body = await inner.openLtxFile(file, range);
          return (async function* () {
            for await (const chunk of body) yield chunk;
            socket.destroy();
          })();
        },
        [Symbol.asyncDispose]: async () => {
          for (const socket of sockets) socket.destroy();
          server.close();
        },
      };
    },
  },
  'takes an empty chunk for the end': {
    fails: 'a body of unknown size, in chunks of any size, is stored whole',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const open = async function* () {
          for await (const chunk of body.open()) {
            if (chunk.byteLength === 0) return;
            yield chunk;
          }
        };
        return await inner.writeLtxFile(file, { open }, op);
      },
    }),
  },
  'reads a file piece by piece, whatever was written between': {
    fails: 'a reader sees the old file or the new one, never a mixture',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        await pause(5, 'a reader is in the midst of the old file');
        return await inner.writeLtxFile(file, body, op);
      },
      openLtxFile: async (file) =>
        (async function* () {
          for (let offset = 0; offset < 200_000; offset += 20_000) {
            yield* await inner.openLtxFile(file, { offset, size: 20_000 });
            await pause(1, 'a writer gets its turn');
          }
        })(),
    }),
  },
  'has one buffer for all its uploads': {
    fails: 'many writers of different files do not disturb each other',
    make: (inner) => {
      let shared: Uint8Array[] = [];
      return {
        writeLtxFile: async (file, body, op) => {
          shared = [];
          for await (const chunk of body.open()) shared.push(chunk.slice());
          await pause(1, 'others write meanwhile');
          return await inner.writeLtxFile(file, { open: () => reread(shared) }, op);
        },
      };
    },
  },
  'gives all writers of a file the same temporary name': {
    fails: 'of several writers of one file one wins, whole',
    make: (() => {
      const temporary = new Map<string, Uint8Array[]>();
      return (inner) => ({
        writeLtxFile: async (file, body, op) => {
          const name = `${file.level}/${file.minTxid}-${file.maxTxid}`;
          temporary.set(name, []);
          for await (const chunk of body.open()) temporary.get(name)?.push(chunk.slice());
          await pause(1, 'others write meanwhile');
          const parts = temporary.get(name) ?? [];
          return await inner.writeLtxFile(file, { open: () => reread(parts) }, op);
        },
      });
    })(),
  },
  'fails to delete no files': {
    fails: 'deleting no files is no error',
    make: (inner) => ({
      deleteLtxFiles: async (files, op) => {
        if (files.length === 0) throw new LitestreamError('MalformedXML', { code: 'INVALID_ARGUMENT' });
        await inner.deleteLtxFiles(files, op);
      },
    }),
  },
  'fails to delete a replica that is not there': {
    fails: 'deleteAll of a replica that is not there is no error',
    make: (inner, store, path) => ({
      deleteAll: async (op) => {
        if (store.keys(`${path}/`).length === 0) throw new LitestreamError('no such folder', { code: 'NOT_FOUND' });
        await inner.deleteAll(op);
      },
    }),
  },
  'encodes its path where it writes, and not where it lists': {
    fails: 'paths with spaces, unicode and signs of URLs hold a replica like any other',
    make: (_, store, path) => {
      const encoded = new MemoryClient({ store, path: encodeURI(path) });
      return { writeLtxFile: async (file, body, op) => encoded.writeLtxFile(file, body, op) };
    },
  },
  'takes any password': {
    fails: 'wrong credentials reject with UNAUTHORIZED or PERMISSION_DENIED',
    make: () => ({}),
  },
  'drops a piece of a very large object': {
    fails: 'a very large object streams in and out in bounded memory',
    make: (inner) => ({
      writeLtxFile: async (file, body, op) => {
        const open = async function* () {
          let index = 0;
          for await (const chunk of body.open()) if (index++ !== 3) yield chunk;
        };
        return await inner.writeLtxFile(file, { open }, op);
      },
    }),
  },
};

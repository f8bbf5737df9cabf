/** What the deliberately broken clients are made of. */
import type { LtxFileInfo, LtxFileRef, ObjectOperations, ReplicaClient } from '../src/storage/contract/contract.ts';
import type { MemoryClient, MemoryStore } from '../src/testing/index.ts';

export type Make = (inner: MemoryClient, store: MemoryStore, path: string) => Partial<ReplicaClient>;
export type Query = Parameters<ReplicaClient['ltxFiles']>[1];
export type Open = Parameters<ReplicaClient['openLtxFile']>[1];

/** What is wrong with it → how it is made, and the case that must fail. */
export type BrokenClients = Record<string, { make: Make; fails: string }>;

export function listing(inner: MemoryClient, change: (files: LtxFileInfo[]) => LtxFileInfo[]): Partial<ReplicaClient> {
  return {
    ltxFiles: async function* (level: number, query: Query) {
      yield* change(await Array.fromAsync(inner.ltxFiles(level, query)));
    },
  };
}

export function reading(
  inner: MemoryClient,
  change: (body: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): Partial<ReplicaClient> {
  return { openLtxFile: async (file: LtxFileRef, range?: Open) => change(await inner.openLtxFile(file, range)) };
}

export function objects(inner: MemoryClient, change: Partial<ObjectOperations>): Partial<ReplicaClient> {
  return { objects: { ...inner.objects, ...change } };
}

export async function* reread(parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* parts;
}

export function same(a: LtxFileRef, b: LtxFileRef): boolean {
  return a.level === b.level && a.minTxid === b.minTxid && a.maxTxid === b.maxTxid;
}

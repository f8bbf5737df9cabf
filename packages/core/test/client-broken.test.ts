/** The suite against clients that are wrong in one way each: it must fail each, at the case that names the fault. */
import { describe, expect, it } from 'vitest';

import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import { CASES, runConformance } from '../src/conformance/index.ts';
import { MemoryClient, MemoryStore } from '../src/testing/index.ts';
import { BROKEN_CREATORS } from './client-broken-creators.ts';
import { BROKEN_NEIGHBOURS } from './client-broken-neighbours.ts';
import { BROKEN_OBJECTS } from './client-broken-objects.ts';
import { BROKEN_READERS } from './client-broken-readers.ts';
import type { Make } from './client-broken-support.ts';
import { BROKEN_WRITERS } from './client-broken-writers.ts';

const BROKEN = { ...BROKEN_READERS, ...BROKEN_WRITERS, ...BROKEN_OBJECTS, ...BROKEN_NEIGHBOURS, ...BROKEN_CREATORS };
/** Some pieces of the very large object, whose size is not what matters here. */
const LARGE_SIZE = 5 * 2 ** 20 + 17;
/** Of these a client that is not broken is no counterpart: it is not asked, or has nothing to refuse with. */
const UNCONTROLLED = /missing bucket|wrong credentials|UNSUPPORTED/;

describe('the suite fails', () => {
  it.each(Object.entries(BROKEN))('a client that %s', async (_, { make, fails }) => {
    const cases = CASES.filter(({ name }) => name === fails);
    expect(cases, `no case is called ${fails}`).toHaveLength(1);
    const store = new MemoryStore();
    const broken = (path: string): ReplicaClient => assemble(new MemoryClient({ store, path }), make, store, path);
    const [variation] = cases[0]?.variations ?? ['direct'];
    const options = {
      name: 'broken',
      cases,
      variations: [variation ?? 'direct'] as const,
      timeoutMs: 10_000,
      largeSize: LARGE_SIZE,
    };
    const unreachable = (path: string): ReplicaClient => assemble(lost(path), make, store, path);
    const accepting = { missingBucket: broken, wrongCredentials: broken };
    const report = await runConformance({ ...options, client: broken, ...accepting, unreachable });
    expect(report.results.map(({ outcome }) => outcome)).toEqual(['failed']);
    // And the case is not simply always failing.
    if (UNCONTROLLED.test(fails)) return;
    const good = new MemoryStore();
    const client = (path: string): ReplicaClient => new MemoryClient({ store: good, path });
    const control = await runConformance({ ...options, timeoutMs: 150_000, client, unreachable: lost });
    expect(control.results.map(({ outcome }) => outcome)).toEqual(['passed']);
  });

  it('a client that hangs, in the time it is given', async () => {
    const cases = CASES.filter(({ name }) => name === 'deleting no files is no error');
    const client = (): ReplicaClient =>
      Object.assign(new MemoryClient(), { deleteLtxFiles: async () => await new Promise<never>(() => undefined) });
    const report = await runConformance({ name: 'hangs', cases, variations: ['direct'], timeoutMs: 50, client });
    expect(String(report.results[0]?.error)).toContain('not done after 50 ms');
  });
});

describe('the suite', () => {
  it('has no case that no broken client fails', () => {
    const failed = new Set(Object.values(BROKEN).map(({ fails }) => fails));
    expect(CASES.map(({ name }) => name).filter((name) => !failed.has(name))).toEqual([]);
  });

  it('has as many cases as it had', () => {
    expect(CASES.length).toBe(82);
    expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
  });
});

/** A client that meets the network for the first time after `init`. */
function lost(path: string): MemoryClient {
  const before = (operation: string): void => {
    if (operation !== 'init') throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  };
  return new MemoryClient({ path, before });
}

function assemble(inner: MemoryClient, make: Make, store: MemoryStore, path: string): ReplicaClient {
  const sound: ReplicaClient = {
    type: inner.type,
    capabilities: inner.capabilities,
    objects: inner.objects,
    init: async (op) => await inner.init(op),
    ltxFiles: (level, query) => inner.ltxFiles(level, query),
    openLtxFile: async (file, range) => await inner.openLtxFile(file, range),
    writeLtxFile: async (file, body, op) => await inner.writeLtxFile(file, body, op),
    deleteLtxFiles: async (files, op) => await inner.deleteLtxFiles(files, op),
    deleteAll: async (op) => await inner.deleteAll(op),
    [Symbol.asyncDispose]: async () => await inner[Symbol.asyncDispose](),
  };
  return { ...sound, ...make(inner, store, path) };
}

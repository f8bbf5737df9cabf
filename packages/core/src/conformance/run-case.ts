import assert from 'node:assert/strict';

import { resolveCapabilities } from '../storage/contract/capabilities.ts';
import type { ResolvedCapabilities } from '../storage/contract/capabilities.ts';
import { classifyError } from '../storage/errors/classify.ts';
import type { LtxFileInfo, ReplicaClient } from '../storage/contract/contract.ts';
import { guardClient } from '../storage/guard/guard-client.ts';
import { resumableSource } from '../storage/reading/resumable-reader.ts';
import { systemClock } from '../util/clock.ts';
import type { Clock } from '../util/clock.ts';
import { isLitestreamError } from '../util/error.ts';
import { FaultClient } from '../testing/fault-client.ts';
import { Seeded } from '../testing/seeded.ts';
import type { CaseContext, ConformanceCase, Requirement, Variation } from './model/case.ts';
import type { ConformanceOptions } from './model/options.ts';

const FILE_COUNT = 2500;
/** More than one page of any backend. */
const FILE_COUNT_REPEATED = 1100;
const TIMEOUT_MS = 60_000;

export interface Setup {
  readonly options: ConformanceOptions;
  readonly testCase: ConformanceCase;
  readonly variation: Variation;
  readonly seed: number;
  /** Makes the path of the case unique. */
  readonly number: number;
}

/** Runs one case; resolves to the requirements it was skipped for, none if it ran. Rejects if it failed. */
export async function runCase(setup: Setup): Promise<readonly string[]> {
  const { options, testCase, variation } = setup;
  const place = placeOf(setup);
  const clients: ReplicaClient[] = [];
  const random = new Seeded(setup.seed);
  const make = async (from: (place: string) => ReplicaClient | Promise<ReplicaClient>, at: string) => {
    const client = wrapClient(await from(at), setup, random);
    clients.push(client);
    return client;
  };
  try {
    const client = await make(options.client, place);
    const capabilities = resolveCapabilities(client.capabilities);
    const lacks = (testCase.requires ?? []).filter((need) => !meets(need, capabilities, options));
    if (lacks.length > 0) return lacks;
    await client.init();
    const context = contextOf({ setup, client, capabilities, random, make, place });
    const limitMs = testCase.requires?.includes('large') === true ? Infinity : (options.timeoutMs ?? TIMEOUT_MS);
    await withLimit(testCase.run(context), limitMs);
    return [];
  } catch (error) {
    if (error instanceof Error) error.message += ` [${options.name}, ${variation}, seed ${setup.seed}]`;
    throw error;
  } finally {
    // Disposing twice is part of the contract, so cases may have done it already.
    await Promise.allSettled(clients.map(async (client) => await client[Symbol.asyncDispose]()));
  }
}

function placeOf({ variation, number, seed }: Setup): string {
  const name = `${variation}-${seed.toString(36)}-${number}`;
  return variation === 'prefix' ? `a long/prefix/ünder ☃/${name}` : name;
}

/** The client as the variation wants it. */
function wrapClient(client: ReplicaClient, { variation, testCase }: Setup, random: Seeded): ReplicaClient {
  if (variation === 'direct' || variation === 'prefix') return client;
  // Waiting longer does not bring back a server that does not exist.
  const fastRetries =
    testCase.requires?.includes('unreachable') === true ? { retry: { delayMsMin: 1, delayMsMax: 4 } } : {};
  if (variation === 'guarded') return guardClient(client, fastRetries);
  const seed = random.below(0xffffffff);
  const faulty = new FaultClient(client, { seed, faults: testCase.faults, inRowMax: 1 });
  // Retries without real waits: the faults are injected, and there are hundreds of them.
  return guardClient(faulty, { retry: { attemptCountMax: 10, delayMsMin: 1, delayMsMax: 4 } });
}

const unhurried: Clock = {
  ...systemClock,
  schedule: (_delayMs, task, options) => systemClock.schedule(1, task, options),
};

interface Parts {
  readonly setup: Setup;
  readonly client: ReplicaClient;
  readonly capabilities: ResolvedCapabilities;
  readonly random: Seeded;
  readonly place: string;
  readonly make: (
    from: (place: string) => ReplicaClient | Promise<ReplicaClient>,
    at: string,
  ) => Promise<ReplicaClient>;
}

function contextOf({ setup, client, capabilities, random, place, make }: Parts): CaseContext {
  const { options, variation } = setup;
  const fileCountMax = variation === 'direct' ? FILE_COUNT : FILE_COUNT_REPEATED;
  const fileCount = Math.min(options.fileCount ?? fileCountMax, fileCountMax);
  return {
    variation,
    client,
    capabilities,
    random,
    fileCount,
    listCount: Math.min(options.listCount ?? fileCount, fileCountMax),
    largeSize: options.largeSize ?? 0,
    open: async (suffix) => {
      const other = await make(options.client, place + suffix);
      await other.init();
      return other;
    },
    broken: async (kind) => {
      const from = options[kind];
      assert.ok(from !== undefined);
      return await make(from, place);
    },
    write: async ({ bytes, timestamp = new Date(1_700_000_000_000), ...file }, to = client) => {
      const body = {
        size: bytes.byteLength,
        open: async function* () {
          if (bytes.byteLength > 0) yield bytes;
        },
      };
      return await to.writeLtxFile({ ...file, timestamp }, body);
    },
    read: async (info, range = {}, from = client) =>
      variation === 'faults'
        ? await readInSpite(from, info, range)
        : await collect(await from.openLtxFile(info, range)),
    readObject: async (key, range = {}) => await readObject(client, key, range, variation === 'faults'),
    list: async (level = 0, query = {}, of = client) => await Array.fromAsync(of.ltxFiles(level, query)),
    codeOf: async (call) => {
      const error = await rejectionOf(call);
      if (isLitestreamError(error)) return error.code;
      return (client.classify?.(error) ?? classifyError(error)).code;
    },
  };
}

async function rejectionOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'resolved, where it should reject' });
}

/** Objects are small and re-read whole: an injected break or early end shows as an error or as too few bytes. */
async function readObject(
  client: ReplicaClient,
  key: string,
  range: { offset?: number; size?: number },
  faulty: boolean,
): Promise<Buffer> {
  assert.ok(client.objects !== undefined);
  for (let attempt = 0; ; attempt++) {
    try {
      const { info, body } = await client.objects.open(key, range);
      const bytes = await collect(body);
      const offset = range.offset ?? 0;
      if (!faulty || bytes.length >= Math.min(range.size ?? Infinity, info.size - offset)) return bytes;
    } catch (error) {
      if (!faulty || attempt === 10 || !classifyError(error).retryable) throw error;
    }
  }
}

/**
 * A read gives up after four failures in a row. An injected fault spares only the next call of the same kind, and a read that is
 * resumed makes two: it opens the file, and lists it. If the two fail alternately, the read starts again.
 */
async function readInSpite(
  client: ReplicaClient,
  info: LtxFileInfo,
  range: { offset?: number; size?: number },
): Promise<Buffer> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await collect(resumableSource(client, info, { ...range, clock: unhurried }));
    } catch (error) {
      if (attempt === 10 || !classifyError(error).retryable) throw error;
    }
  }
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  // Kept as they come: a client must not reuse their memory.
  const parts: Uint8Array[] = [];
  for await (const chunk of source) parts.push(chunk);
  return Buffer.concat(parts);
}

function meets(need: Requirement, capabilities: ResolvedCapabilities, options: ConformanceOptions): boolean {
  const { objects, conditions, conditionalCreate, conditionalDelete, ranges, timestamps } = capabilities;
  const met: Readonly<Record<Requirement, boolean>> = {
    objects,
    conditions,
    conditionalDelete,
    conditionalCreate: conditionalCreate !== false,
    'locked conditionalCreate': conditionalCreate !== false && conditionalCreate !== 'unlocked',
    ranges,
    timestamps: timestamps !== 'none',
    'no objects': !objects,
    'no conditions': !conditions,
    'no conditionalDelete': !conditionalDelete,
    'no ranges': !ranges,
    large: options.largeSize !== undefined,
    wrongCredentials: options.wrongCredentials !== undefined,
    missingBucket: options.missingBucket !== undefined,
    unreachable: options.unreachable !== undefined,
  };
  return met[need];
}

async function withLimit(run: Promise<void>, limitMs: number): Promise<void> {
  if (limitMs === Infinity) {
    await run;
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `not done after ${limitMs} ms` })), limitMs);
  });
  try {
    await Promise.race([run, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Two processes replicate to one place: the files there are one timeline, and only one of the two acknowledges. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TXID } from '@litestream/ltx';
import { FileClient } from '../src/storage/file/file-client.ts';
import type { Capabilities, ReplicaClient, WriteOptions } from '../src/storage/contract/contract.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { LitestreamError } from '../src/util/error.ts';
import type { LogFields, Logger } from '../src/util/logger.ts';
import { Replica } from '../src/replica/replica.ts';
import { restore } from '../src/restore/restore.ts';
import { Compactor } from '../src/compaction/compactor.ts';
import { MemoryClient, MemoryStore, Seeded } from '../src/testing/index.ts';
import { FakeClock } from './support/fake-clock.ts';
import { FakeDb } from './support/fake-db.ts';
import { encodeLtx, History } from './support/ltx-history.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('conflict');
let count = 0;
const seed = Number(process.env['SEED'] ?? new Seeded().seed);
console.log(`replica conflict: SEED=${seed}`);

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

/** Keeps warnings and errors. */
function loud(): Logger & { readonly lines: Line[] } {
  const lines: Line[] = [];
  const add =
    (level: string) =>
    (message: string, fields?: LogFields): void =>
      void lines.push({ level, message, fields });
  const quiet = (): void => undefined;
  const logger = {
    lines,
    trace: quiet,
    debug: quiet,
    info: quiet,
    warn: add('warn'),
    error: add('error'),
    child: () => logger,
  };
  return logger;
}

/** One process: a database, its replica, and the commits that were acknowledged to its application. */
class Instance {
  readonly logger = loud();
  readonly clock = new FakeClock();
  readonly acknowledged: TXID[] = [];
  readonly refused: unknown[] = [];
  readonly db: FakeDb;
  readonly replica: Replica;

  constructor(client: ReplicaClient, seedOf: number, autoRecover = true) {
    this.db = new FakeDb(join(root, String(count++)), 60, new Seeded(seedOf), 40);
    this.replica = new Replica(client, this.db, { logger: this.logger, clock: this.clock, autoRecover });
  }

  async commit(): Promise<void> {
    this.db.pending = 1;
    try {
      await this.replica.replicated();
      this.acknowledged.push(this.db.position.txid);
    } catch (error) {
      this.refused.push(error);
    }
  }

  stateOf(txid: TXID): Buffer {
    return Buffer.from(this.db.history.states[Number(txid) - 1] ?? []);
  }

  get conflicts(): readonly Line[] {
    return this.logger.lines.filter(({ message }) => message.startsWith('another process writes'));
  }
}

async function restored(client: ReplicaClient, txid?: TXID): Promise<Buffer> {
  const output = join(root, `out-${count++}.db`);
  await restore(client, { output, ...(txid === undefined ? {} : { txid }) });
  return readFileSync(output);
}

/** What a client of a storage without conditions, or one that pretends to have them, does. */
class Weak extends MemoryClient {
  override readonly capabilities: Capabilities;
  readonly requests: string[] = [];
  readonly #how: 'ignores' | 'refuses' | 'lacks';

  constructor(store: MemoryStore, how: 'ignores' | 'refuses' | 'lacks') {
    super({ store, before: (operation) => void this.requests?.push(operation) });
    this.#how = how;
    const { conditionalCreate: _, ...rest } = new MemoryClient().capabilities;
    this.capabilities = how === 'lacks' ? rest : { ...rest, conditionalCreate: 'probe' };
  }

  override async writeLtxFile(
    file: Parameters<MemoryClient['writeLtxFile']>[0],
    body: Parameters<MemoryClient['writeLtxFile']>[1],
    { ifNoneMatch, ...options }: WriteOptions = {},
  ): ReturnType<MemoryClient['writeLtxFile']> {
    if (ifNoneMatch !== undefined && this.#how === 'refuses') {
      throw new LitestreamError('A header you provided implies functionality that is not implemented', {
        code: 'UNSUPPORTED',
      });
    }
    return await super.writeLtxFile(file, body, options);
  }
}

const places: readonly (readonly [string, () => () => ReplicaClient])[] = [
  [
    'memory',
    () => {
      const store = new MemoryStore();
      return () => guardClient(new MemoryClient({ store }));
    },
  ],
  [
    'file',
    () => {
      const path = join(root, `replica-${count++}`);
      return () => guardClient(new FileClient({ path }));
    },
  ],
  ...(['ignores', 'refuses', 'lacks'] as const).map(
    (how) =>
      [
        `a storage that ${how} conditions`,
        () => {
          const store = new MemoryStore();
          return () => guardClient(new Weak(store, how));
        },
      ] as const,
  ),
];

/** Transactions that both instances have: one restored what the other one replicated. */
const COMMON = 3;

/** Two that have the same transactions up to here, replicate to one place, and diverge from there. */
async function pair(open: () => ReplicaClient, options: { autoRecover?: boolean } = {}): Promise<[Instance, Instance]> {
  const winner = new Instance(open(), seed);
  const loser = new Instance(open(), seed, options.autoRecover);
  const { history } = loser.db;
  const other = new FakeDb(join(root, String(count++)), 60, new Seeded(seed + 1), 40).history;
  history.files.splice(COMMON, history.files.length, ...other.files.slice(COMMON));
  history.states.splice(COMMON, history.states.length, ...other.states.slice(COMMON));
  history.merged = async (from, to) => await other.merged(from, to);
  for (let txid = 0; txid < COMMON; txid++) await winner.commit();
  for (let txid = 0; txid < COMMON; txid++) loser.db.commit();
  await loser.replica.replicated();
  expect(loser.replica.position).toEqual({ txid: BigInt(COMMON) });
  return [winner, loser];
}

const names = async (client: ReplicaClient, level: number): Promise<string[]> =>
  (await Array.fromAsync(client.ltxFiles(level))).map(({ minTxid, maxTxid }) => `${minTxid}-${maxTxid}`);

describe.each(places)('two writers on one replica: %s', (_, place) => {
  test('one of them acknowledges, the other one refuses and says so once', async () => {
    const open = place();
    const [winner, loser] = await pair(open);
    for (let round = 0; round < 8; round++) {
      await winner.commit();
      await loser.commit();
    }
    expect(winner.refused).toEqual([]);
    expect(winner.acknowledged).toHaveLength(COMMON + 8);
    expect(loser.acknowledged).toEqual([]);
    expect(loser.refused).toHaveLength(8);
    for (const error of loser.refused) expect(error).toMatchObject({ code: 'REPLICA_CONFLICT', retryable: false });
    expect(loser.conflicts).toHaveLength(1);
    expect(loser.conflicts[0]?.level).toBe('error');
    expect(loser.replica.isDown).toBe(true);
    expect(winner.conflicts).toEqual([]);
    // One timeline, and each acknowledged commit of it restores.
    expect(await names(open(), 0)).toEqual(winner.acknowledged.map((txid) => `${txid}-${txid}`));
    for (const txid of winner.acknowledged) {
      expect((await restored(open(), txid)).equals(winner.stateOf(txid)), `txid ${txid}`).toBe(true);
    }
  });

  test('a loser takes no snapshot into the replica, before and after it knows that it is one', async () => {
    const open = place();
    const [winner, loser] = await pair(open);
    await winner.commit();
    await winner.commit();
    loser.db.commit();
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(loser.replica.snapshot()).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
      await expect(loser.replica.recoverCut()).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    }
    expect(await names(open(), 9)).toEqual([]);
    expect(loser.conflicts).toHaveLength(1);
  });

  test('one that lost a local file does not put a snapshot over what another wrote in its place', async () => {
    const open = place();
    const [winner, loser] = await pair(open);
    await winner.commit();
    loser.db.commit();
    loser.db.lose(BigInt(COMMON + 1));
    await expect(loser.replica.replicated()).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    expect(await names(open(), 9)).toEqual([]);
  });
});

describe('a conflict', () => {
  const open = (): (() => ReplicaClient) => {
    const store = new MemoryStore();
    return () => guardClient(new MemoryClient({ store }));
  };

  test('lasts while the other one writes, and ends behind its files once it is quiet', async () => {
    const client = open();
    const [winner, loser] = await pair(client);
    await winner.commit();
    await loser.commit();
    expect(loser.conflicts).toHaveLength(1);
    // It goes on writing for ten minutes, every half a minute.
    for (let round = 0; round < 20; round++) {
      await winner.commit();
      await loser.clock.advance(30_000);
      await loser.commit();
    }
    expect(loser.acknowledged).toEqual([]);
    expect(await names(client(), 9)).toEqual([]);
    const acknowledged = [...winner.acknowledged];

    // Its process has ended. What it acknowledged stays; the loser begins with every page, behind it.
    for (let round = 0; round < 8; round++) {
      await loser.clock.advance(30_000);
      await loser.commit();
    }
    const [first = 0n] = loser.acknowledged;
    expect(first).toBeGreaterThan(acknowledged.at(-1) ?? 0n);
    expect(loser.conflicts).toHaveLength(1);
    for (const txid of acknowledged) {
      expect((await restored(client(), txid)).equals(winner.stateOf(txid)), `txid ${txid}`).toBe(true);
    }
    expect(winner.conflicts).toEqual([]);

    // It was only idle: now it is the one that refuses.
    await winner.commit();
    expect(winner.refused.at(-1)).toMatchObject({ code: 'REPLICA_CONFLICT' });
    expect(winner.conflicts).toHaveLength(1);
  });

  test('ends once for each process: two that wake in turn do not take over from each other for ever', async () => {
    const client = open();
    const [winner, loser] = await pair(client);
    const instances = [winner, loser];
    await winner.commit();
    const turns: number[] = [];
    for (let turn = 1; turn < 9; turn++) {
      const instance = instances[turn % 2];
      const before = instance?.acknowledged.length ?? 0;
      // The other one is idle all the while.
      for (let round = 0; round < 4; round++) {
        await instance?.commit();
        await instance?.clock.advance(60_000);
      }
      turns.push((instance?.acknowledged.length ?? 0) - before);
    }
    // Each has taken over once at the most; after that one of them is left.
    for (const { logger } of instances) {
      expect(logger.lines.filter(({ message }) => message.includes('writes no more')).length).toBeLessThanOrEqual(1);
    }
    const ends = turns.slice(4);
    expect(
      [ends[0], ends[2]].every((acknowledged) => acknowledged === 0) ||
        [ends[1], ends[3]].every((acknowledged) => acknowledged === 0),
    ).toBe(true);
  });

  test('is found by one that was suspended for so long that the files of the other one are compacted and gone', async () => {
    const client = open();
    const [winner, loser] = await pair(client);
    for (let txid = 0; txid < 6; txid++) await winner.commit();
    // Level 0 keeps its last file alone.
    const files = await Array.fromAsync(client().ltxFiles(0));
    await new Compactor(client()).compact(1);
    await client().deleteLtxFiles(files.slice(0, -1));
    await loser.clock.advance(10 * 60_000);
    await loser.commit();
    expect(loser.refused).toMatchObject([{ code: 'REPLICA_CONFLICT' }]);
    expect(loser.conflicts).toHaveLength(1);
    expect(await names(client(), 0)).toEqual([`${COMMON + 6}-${COMMON + 6}`]);
  });

  test('is met again where the other one goes on writing just when its turn seemed over', async () => {
    const store = new MemoryStore();
    let before = async (): Promise<void> => undefined;
    const retry = { attemptCountMax: 1 };
    const client = (): ReplicaClient =>
      guardClient(
        new MemoryClient({ store, before: (operation) => (operation === 'writeLtxFile' ? before() : undefined) }),
        { retry },
      );
    const [winner, loser] = await pair(client);
    for (let txid = 0; txid < 6; txid++) await winner.commit();
    await loser.commit();
    expect(loser.conflicts).toHaveLength(1);
    before = async () => {
      before = async () => undefined;
      for (let txid = 0; txid < 2; txid++) await winner.commit();
      throw new LitestreamError('away', { code: 'NETWORK', retryable: true });
    };
    for (let round = 0; round < 12; round++) {
      await loser.clock.advance(15_000);
      await loser.commit();
    }
    expect(loser.logger.lines.filter(({ message }) => message.includes('writes no more'))).toHaveLength(1);
    expect(loser.acknowledged).toEqual([]);
    expect(loser.refused.at(-1)).toMatchObject({ code: 'REPLICA_CONFLICT' });
    await winner.commit();
    expect(winner.refused).toEqual([]);
    expect((await restored(client())).equals(winner.stateOf(winner.acknowledged.at(-1) ?? 0n))).toBe(true);
  });

  test('is found by one whose snapshot takes the place of a lost file, while another one writes: it is taken back', async () => {
    const store = new MemoryStore();
    let during = async (): Promise<void> => undefined;
    const client = (): ReplicaClient =>
      guardClient(
        new MemoryClient({
          store,
          before: (operation, object) =>
            operation === 'writeLtxFile' && object.includes('ltx/9/') ? during() : undefined,
        }),
      );
    const [winner, loser] = await pair(client);
    for (let txid = 0; txid < 3; txid++) loser.db.commit();
    loser.db.lose(BigInt(COMMON + 1));
    during = async () => {
      during = async () => undefined;
      for (let txid = 0; txid < 2; txid++) await winner.commit();
    };
    await expect(loser.replica.replicated()).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    expect(await names(client(), 9)).toEqual([]);
    for (let txid = 0; txid < 4; txid++) await winner.commit();
    expect(winner.refused).toEqual([]);
    const newest = winner.acknowledged.at(-1) ?? 0n;
    expect((await restored(client())).equals(winner.stateOf(newest))).toBe(true);
  });

  test('without auto-recover lasts until the process is started again', async () => {
    const client = open();
    const [winner, loser] = await pair(client, { autoRecover: false });
    await winner.commit();
    for (let round = 0; round < 10; round++) {
      await loser.commit();
      await loser.clock.advance(600_000);
    }
    expect(loser.acknowledged).toEqual([]);
    expect(loser.conflicts).toHaveLength(1);
  });
});

describe('an upload whose answer was lost', () => {
  test.each(['small', 'of several MiB'])('is taken for what it is: %s', async (size) => {
    const memory = new MemoryClient();
    const lossy = Object.assign(bare(memory), {
      writeLtxFile: async (...args: Parameters<MemoryClient['writeLtxFile']>) => {
        await memory.writeLtxFile(...args);
        throw new LitestreamError('reset', { code: 'NETWORK', retryable: true });
      },
    });
    const retry = { attemptCountMax: 3, delayMsMin: 1, delayMsMax: 2 };
    const instance = new Instance(guardClient(lossy, { retry }), seed);
    if (size !== 'small') {
      const { files } = instance.db.history;
      files[0] = largeFile();
    }
    await instance.commit();
    expect(instance.refused).toEqual([]);
    expect(instance.acknowledged).toEqual([1n]);
    expect(instance.logger.lines).toEqual([]);
  });
});

describe('a storage that may not keep conditions', () => {
  const weak = (how: 'ignores' | 'refuses' | 'lacks'): { readonly client: Weak; readonly instance: Instance } => {
    const client = new Weak(new MemoryStore(), how);
    return { client, instance: new Instance(guardClient(client), seed) };
  };
  const warnings = ({ logger }: Instance): readonly string[] =>
    logger.lines.filter(({ message }) => message.startsWith('this storage cannot')).map(({ level }) => level);

  test.each(['ignores', 'refuses', 'lacks'] as const)(
    '%s them: it is looked before each upload, with one warning',
    async (how) => {
      const { client, instance } = weak(how);
      for (let txid = 0; txid < 4; txid++) await instance.commit();
      expect(warnings(instance)).toEqual(['warn']);
      client.requests.length = 0;
      await instance.commit();
      expect(client.requests).toEqual(['openLtxFile', 'writeLtxFile']);
      expect(await names(client, 0)).toEqual(['1-1', '2-2', '3-3', '4-4', '5-5']);
    },
  );

  test.each([
    ['probe', 'no word of it', []],
    ['unlocked', 'a word on two writers at one moment', ['warn']],
  ] as const)('keeps them: asked once, at the cost of two requests: %s: %s', async (conditionalCreate, _, told) => {
    const client = new MemoryClient();
    const requests: string[] = [];
    const probed = Object.assign(bare(client), {
      capabilities: { ...client.capabilities, conditionalCreate },
      openLtxFile: async (...args: Parameters<MemoryClient['openLtxFile']>) => {
        requests.push('open');
        return await client.openLtxFile(...args);
      },
      writeLtxFile: async (...args: Parameters<MemoryClient['writeLtxFile']>) => {
        requests.push(args[2]?.ifNoneMatch === '*' ? 'create' : 'write');
        return await client.writeLtxFile(...args);
      },
    });
    const instance = new Instance(guardClient(probed), seed);
    for (let txid = 0; txid < 4; txid++) await instance.commit();
    expect(requests).toEqual(['open', 'create', 'create', 'create', 'create', 'create']);
    expect(warnings(instance)).toEqual(told);
    expect(instance.logger.lines).toHaveLength(told.length);
  });
});

/** The client's methods, to replace some of them. */
function bare(inner: MemoryClient): ReplicaClient {
  return {
    type: inner.type,
    capabilities: inner.capabilities,
    init: async (op) => await inner.init(op),
    ltxFiles: (level, query) => inner.ltxFiles(level, query),
    openLtxFile: async (file, range) => await inner.openLtxFile(file, range),
    writeLtxFile: async (file, body, op) => await inner.writeLtxFile(file, body, op),
    deleteLtxFiles: async (files, op) => await inner.deleteLtxFiles(files, op),
    deleteAll: async (op) => await inner.deleteAll(op),
    [Symbol.asyncDispose]: async () => await inner[Symbol.asyncDispose](),
  };
}

/** A file of transaction 1 that is larger than what is compared whole. */
function largeFile(): Buffer {
  const pageSize = 65_536;
  const pages = new Map(Array.from({ length: 40 }, (_, index) => [index + 1, randomBytes(pageSize)] as const));
  const header = { pageSize, commit: 40, minTxid: 1n, maxTxid: 1n, timestampMs: History.commitMs(1n) };
  return Buffer.from(encodeLtx(header, pages));
}

test('a file of ours whose answer was lost, and that is listed before it can be opened, is not taken for another writer', async () => {
  const store = new MemoryStore();
  const inner = new MemoryClient({ store });
  const ours = new Instance(guardClient(unsettled(inner), { retry: { attemptCountMax: 1 } }), seed);
  await ours.commit();
  expect(ours.acknowledged).toEqual([1n]);
  await ours.commit(); // its answer is lost
  await ours.commit(); // it is listed, and cannot be opened
  expect(ours.refused).toMatchObject([{ code: 'NETWORK' }, { code: 'UNAVAILABLE', retryable: true }]);
  await ours.commit();
  expect(ours.acknowledged).toEqual([1n, 4n]);
  expect(ours.conflicts).toEqual([]);
});

/** Loses the answer to the second file. After that, reports the file once as missing. */
function unsettled(inner: MemoryClient): ReplicaClient {
  let isLost = false;
  let isMissing = false;
  const client = Object.create(inner) as MemoryClient;
  return Object.assign(client, {
    capabilities: inner.capabilities,
    type: inner.type,
    init: async () => await inner.init(),
    ltxFiles: (...call: Parameters<MemoryClient['ltxFiles']>) => inner.ltxFiles(...call),
    writeLtxFile: async (...[file, ...rest]: Parameters<MemoryClient['writeLtxFile']>) => {
      const info = await inner.writeLtxFile(file, ...rest);
      if (file.minTxid !== 2n || isLost) return info;
      isLost = true;
      isMissing = true;
      throw new LitestreamError('the connection broke', { code: 'NETWORK', retryable: true });
    },
    openLtxFile: async (...call: Parameters<MemoryClient['openLtxFile']>) => {
      if (!isMissing) return await inner.openLtxFile(...call);
      isMissing = false;
      throw new LitestreamError('no such object yet', { code: 'NOT_FOUND' });
    },
  });
}

import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { FileClient } from '../src/storage/file/file-client.ts';
import { isLitestreamError } from '../src/util/error.ts';
import type { LitestreamError } from '../src/util/error.ts';
import { planRestore } from '../src/restore/plan/plan.ts';
import { InlinePool, WorkerPool } from '../src/restore/decode/range-pool.ts';
import { restore } from '../src/restore/restore.ts';
import { Spool } from '../src/restore/read/spool.ts';
import { writeDatabase } from '../src/restore/write/write-database.ts';
import type { RestoreOptions, RestoreProgress } from '../src/restore/plan/restore-options.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { encodeLtx, History, upload } from './support/ltx-history.ts';
import { recordingLogger } from './helpers/db-lab.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('restore-faults');
const history = new History({ pageSize: 512, txidMax: 4, pageCountMax: 6, entropy: 0.05 }, new Seeded(7));
const fileOf = (txid: number): Buffer => history.files[txid - 1] ?? Buffer.alloc(0);
let count = 0;
let folder = '';
let output = '';

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  output = join(folder, 'out.db');
});

async function replica(files: Iterable<readonly [number, Buffer]> = history.files.entries()): Promise<MemoryClient> {
  const client = new MemoryClient();
  for (const [index, bytes] of files) await upload(client, 0, [index + 1, index + 1], bytes);
  return client;
}

/** The same replica with another content for one TXID. */
async function replicaWith(txid: number, bytes: Buffer): Promise<MemoryClient> {
  return replica(history.files.map((file, index) => [index, index + 1 === txid ? bytes : file] as const));
}

async function failure(
  client: MemoryClient | FileClient,
  options: Partial<RestoreOptions> = {},
): Promise<LitestreamError> {
  let error: unknown;
  try {
    await restore(client, { output, ...options });
  } catch (thrown) {
    error = thrown;
  }
  if (!isLitestreamError(error)) throw new Error(`not a LitestreamError: ${String(error)}`, { cause: error });
  return error;
}

describe('a damaged file', () => {
  test('each byte of a file flipped in turn is refused, and leaves nothing', async () => {
    const bytes = fileOf(3);
    expect(bytes.length).toBeGreaterThan(200);
    const codes = new Set<string>();
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      const error = await failure(await replicaWith(3, damaged));
      expect(error.message).toContain('ltx/0/0000000000000003-0000000000000003.ltx');
      expect(['LTX_CORRUPT', 'CHECKSUM_MISMATCH']).toContain(error.code);
      codes.add(error.code);
    }
    expect(codes.size).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('each truncation is refused', async () => {
    const bytes = fileOf(2);
    for (let size = 0; size < bytes.length; size++) {
      const error = await failure(await replicaWith(2, bytes.subarray(0, size)));
      expect(['LTX_CORRUPT', 'CHECKSUM_MISMATCH']).toContain(error.code);
      expect(error.message).toContain('0000000000000002-0000000000000002.ltx');
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  test('bytes behind the end are refused', async () => {
    const error = await failure(await replicaWith(2, Buffer.concat([fileOf(2), Buffer.alloc(40)])));
    expect(['LTX_CORRUPT', 'CHECKSUM_MISMATCH']).toContain(error.code);
  });

  test('damage in a file of megabytes, wherever workers meet it', async () => {
    const big = new History(
      { pageSize: 4096, txidMax: 1, pageCountMin: 700, pageCountMax: 900, entropy: 1 },
      new Seeded(3),
    );
    const bytes = Buffer.from(big.files[0] ?? Buffer.alloc(0));
    expect(bytes.length).toBeGreaterThan(2 << 20);
    const client = new FileClient({ path: join(folder, 'replica') });
    for (const at of [80, 200, 300_000, bytes.length >> 1, bytes.length - 300, bytes.length - 20, bytes.length - 5]) {
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await upload(client, 0, [1, 1], bytes);
      const error = await failure(client);
      expect(['LTX_CORRUPT', 'CHECKSUM_MISMATCH']).toContain(error.code);
      expect(error.message).toContain('0000000000000001-0000000000000001.ltx');
      bytes[at] = (bytes[at] ?? 0) ^ 1;
    }
    expect(readdirSync(folder)).toEqual(['replica']);
    await upload(client, 0, [1, 1], bytes);
    await restore(client, { output });
  });
});

describe('a file that does not belong', () => {
  test('something else under the name of an LTX file', async () => {
    const error = await failure(await replicaWith(2, Buffer.from('SQLite format 3\0'.repeat(40))));
    expect(error.code).toBe('LTX_CORRUPT');
  });

  test('another transaction under this name', async () => {
    const error = await failure(await replicaWith(3, fileOf(2)));
    expect(error).toMatchObject({ code: 'LTX_CORRUPT' });
    expect(error.message).toContain('0000000000000002-0000000000000002');
  });

  test('another page size', async () => {
    const pages = new Map([[1, new Uint8Array(1024)]]);
    const other = encodeLtx({ pageSize: 1024, commit: 3, minTxid: 3n, maxTxid: 3n, timestampMs: 0 }, pages);
    expect(await failure(await replicaWith(3, other))).toMatchObject({
      code: 'LTX_CORRUPT',
      message: expect.stringMatching(/page size/),
    });
  });

  test('a database that grew without its new pages', async () => {
    const pages = new Map([[1, new Uint8Array(512)]]);
    const grown = encodeLtx({ pageSize: 512, commit: 40, minTxid: 4n, maxTxid: 4n, timestampMs: 0 }, pages);
    expect(await failure(await replicaWith(4, grown))).toMatchObject({
      code: 'LTX_CORRUPT',
      message: expect.stringMatching(/no file of the plan holds page/),
    });
  });

  test('a database checksum that the result does not have', async () => {
    const state = history.states[2] ?? Buffer.alloc(0);
    const pages = new Map([[1, state.subarray(0, 512)]]);
    const extension = { createdAtMs: 0, databaseChecksum: (1n << 63n) | 5n, previousChecksumHigh: 0 };
    const header = { pageSize: 512, commit: state.length / 512, minTxid: 4n, maxTxid: 4n, timestampMs: 0, extension };
    expect(await failure(await replicaWith(4, encodeLtx(header, pages)))).toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      message: expect.stringMatching(/does not have the database checksum that this file states/),
    });
  });
});

describe('a file that is gone', () => {
  test('plans again, and takes the file that has replaced it', async () => {
    const files = await replica();
    const merged = await history.merged(2, 3);
    let opened = 0;
    const client = new MemoryClient({
      store: files.store,
      before: (operation, object) => {
        if (operation !== 'openLtxFile' || !object.includes('0000000000000003') || opened++ > 0) return;
        // Compaction and retention, between the listing and the first byte.
        const time = new Date(History.commitMs(3n));
        files.store.put('ltx/1/0000000000000002-0000000000000003.ltx', merged, time);
        files.store.entries.delete('ltx/0/0000000000000002-0000000000000002.ltx');
        files.store.entries.delete('ltx/0/0000000000000003-0000000000000003.ltx');
      },
    });
    const logger = recordingLogger();
    const result = await restore(client, { output, logger });
    const said = logger.lines.filter(({ message }) => message === 'planned file is gone, planning again');
    expect(said.map(({ level }) => level)).toEqual(['debug']);
    expect(result.plan.map((file) => file.level)).toEqual([0, 1, 0]);
    expect(readFileSync(output).equals(history.states[3] ?? Buffer.alloc(0))).toBe(true);
  });

  test('gives up after three plans', async () => {
    const files = await replica();
    let opened = 0;
    const client = new MemoryClient({
      store: files.store,
      before: (operation, object) => {
        if (operation !== 'openLtxFile' || !object.includes('0000000000000003')) return;
        opened++;
        throw Object.assign(new Error('gone'), { code: 'ENOENT' });
      },
    });
    expect(await failure(client)).toMatchObject({ code: 'NOT_FOUND' });
    expect(opened).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('an empty replica makes no folder', async () => {
    output = join(folder, 'new', 'out.db');
    expect(await failure(new MemoryClient())).toMatchObject({ code: 'REPLICA_EMPTY' });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('the output', () => {
  test('refuses what is there', async () => {
    const client = await replica();
    writeFileSync(output, 'x');
    expect(await failure(client)).toMatchObject({ code: 'OUTPUT_EXISTS', object: output });
    expect(readFileSync(output, 'utf8')).toBe('x');
    output = folder;
    expect(await failure(client)).toMatchObject({ code: 'OUTPUT_EXISTS', object: folder });
  });

  test.each(['-wal', '-shm', '-journal'])('refuses a %s beside it', async (suffix) => {
    writeFileSync(output + suffix, '');
    const error = await failure(await replica());
    expect(error).toMatchObject({ code: 'OUTPUT_EXISTS', object: output + suffix });
    expect(existsSync(output)).toBe(false);
  });

  test('replaces an empty file, and anything where told to', async () => {
    const client = await replica();
    writeFileSync(output, '');
    await restore(client, { output });
    writeFileSync(`${output}-wal`, 'old');
    await restore(client, { output, txid: 2n, overwrite: true });
    expect(readFileSync(output).equals(history.states[1] ?? Buffer.alloc(0))).toBe(true);
    expect(readdirSync(folder)).toEqual(['out.db']);
  });

  test('makes missing folders, and replaces the temporary file of a killed restore', async () => {
    output = join(folder, 'a', 'b', 'out.db');
    mkdirSync(join(folder, 'a', 'b'), { recursive: true });
    writeFileSync(`${output}.tmp`, 'half of a database that is longer than the whole one'.repeat(1000));
    await restore(await replica(), { output });
    expect(readFileSync(output).equals(history.states[3] ?? Buffer.alloc(0))).toBe(true);
  });

  test('refuses a file that says that the database has no pages', async () => {
    const bytes = Buffer.from(history.files[0] ?? []);
    bytes.writeUInt32BE(0, 12);
    await expect(restore(await replica([[0, bytes]]), { output })).rejects.toMatchObject({
      code: 'LTX_CORRUPT',
      message: expect.stringContaining('has no pages') as string,
    });
    expect(existsSync(output)).toBe(false);
  });

  test('a folder that is a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    output = join(folder, 'file', 'out.db');
    await expect(restore(await replica(), { output })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('two restores to one output: one wins whole, the other says why', async () => {
    const client = await replica();
    const results = await Promise.allSettled([restore(client, { output }), restore(client, { output })]);
    expect(results.filter((result) => result.status === 'fulfilled').length).toBeGreaterThanOrEqual(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(readFileSync(output).equals(history.states[3] ?? Buffer.alloc(0))).toBe(true);
    expect(readdirSync(folder)).toEqual(['out.db']);
  });
});

describe('an aborted restore', () => {
  const big = new History(
    { pageSize: 4096, txidMax: 2, pageCountMin: 1200, pageCountMax: 1500, entropy: 1 },
    new Seeded(5),
  );

  test.each([0, 1, 2, 5])('leaves nothing, after %i progress reports', async (after) => {
    const client = new FileClient({ path: join(folder, 'replica') });
    for (const [index, bytes] of big.files.entries()) await upload(client, 0, [index + 1, index + 1], bytes);
    const stop = new AbortController();
    const reason = new Error('stopped by the test');
    let reports = 0;
    if (after === 0) stop.abort(reason);
    const onProgress = (): void => {
      if (++reports === after) stop.abort(reason);
    };
    await expect(restore(client, { output, signal: stop.signal, onProgress })).rejects.toBe(reason);
    expect(readdirSync(folder)).toEqual(['replica']);
  });

  test('progress ends at the whole, in order', async () => {
    const client = new FileClient({ path: join(folder, 'replica') });
    for (const [index, bytes] of big.files.entries()) await upload(client, 0, [index + 1, index + 1], bytes);
    const seen: RestoreProgress[] = [];
    const result = await restore(client, { output, onProgress: (progress) => seen.push(progress) });
    const written = seen.filter((progress) => progress.phase === 'write');
    expect(written.length).toBeGreaterThan(3);
    expect(written.every((each, index) => index === 0 || each.bytesDone > (written[index - 1]?.bytesDone ?? 0))).toBe(
      true,
    );
    expect(written.at(-1)?.pagesDone).toBe(result.pageCount);
    expect(seen.at(-1)).toMatchObject({ phase: 'sync', bytesDone: result.inputSize, bytesTotal: result.inputSize });
  });
});

test('options that make no sense are refused before anything is read', async () => {
  const client = await replica();
  expect(await failure(client, { output: '' })).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(client, { parallelism: 0 })).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(client, { txid: 0n })).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(client, { txid: 1n, timestamp: new Date() })).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(client, { timestamp: new Date(Number.NaN) })).toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test.runIf(existsSync('/dev/full')).each([new InlinePool(), await WorkerPool.start(1)])(
  'a full disk names the output',
  async (pool) => {
    const client = await replica();
    const output = openSync('/dev/full', 'w');
    try {
      const written = writeDatabase({
        client,
        plan: await planRestore(client),
        output,
        outputPath: '/there/out.db.tmp',
        truncate: () => Promise.resolve(),
        pool,
        spool: new Spool(join(folder, 'spool')),
        signal: new AbortController().signal,
        proof: 'checked',
        onMismatch: () => undefined,
        onRange: () => undefined,
      });
      await expect(written).rejects.toMatchObject({ code: 'DISK_FULL', object: '/there/out.db.tmp' });
    } finally {
      await pool[Symbol.asyncDispose]();
      closeSync(output);
    }
  },
);

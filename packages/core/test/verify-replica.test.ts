import { kernel, LtxDecoder } from '@litestream/ltx';
import { describe, expect, it } from 'vitest';
import type { LtxFileRef, ReplicaClient } from '../src/index.ts';
import { verifyReplica } from '../src/index.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { encodeLtx, History } from './support/ltx-history.ts';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
console.log(`verify: SEED=${seed}`);
const PAGE_SIZE = 1024;
const CHECKSUM_FLAG = 1n << 63n;

async function put(client: ReplicaClient, file: LtxFileRef, bytes: Uint8Array): Promise<void> {
  const timestamp = new Date(History.commitMs(file.maxTxid));
  await client.writeLtxFile({ ...file, timestamp }, { size: bytes.length, open: () => one(bytes) });
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(bytes);
}

/** The same file, which states this checksum of the database after it. */
async function stating(bytes: Uint8Array, databaseChecksum: bigint): Promise<Buffer> {
  const decoder = new LtxDecoder(one(bytes));
  const header = await decoder.header();
  const pages = new Map<number, Uint8Array>();
  for await (const batch of decoder.batches()) {
    for (const [index, pgno] of batch.pgnos.entries()) {
      pages.set(pgno, batch.pages.slice(index * PAGE_SIZE, (index + 1) * PAGE_SIZE));
    }
  }
  const extension = { databaseChecksum, previousChecksumHigh: 0, createdAtMs: header.timestampMs };
  return encodeLtx({ ...header, extension }, pages);
}

function checksumOf(state: Buffer): bigint {
  const pgnos = Uint32Array.from({ length: state.length / PAGE_SIZE }, (_, index) => index + 1);
  return (
    kernel()
      .pageHashes(pgnos, state, PAGE_SIZE)
      .reduce((xor, each) => xor ^ each, CHECKSUM_FLAG) | CHECKSUM_FLAG
  );
}

describe(`verifyReplica, SEED=${seed}`, () => {
  it('proves the newest state through growth and shrinking, one file at a time', async () => {
    for (let round = 0; round < 20; round++) {
      const random = new Seeded(seed + round);
      const txidMax = 1 + random.below(80);
      const history = new History({ pageSize: PAGE_SIZE, txidMax, pageCountMax: 30, entropy: 0.5 }, random);
      const right = checksumOf(history.states.at(-1) ?? Buffer.of());
      for (const isRight of [true, false]) {
        const client = new MemoryClient();
        for (const [index, bytes] of history.files.entries()) {
          const txid = BigInt(index + 1);
          const last = index === txidMax - 1 ? await stating(bytes, isRight ? right : right ^ 1n) : bytes;
          await put(client, { level: 0, minTxid: txid, maxTxid: txid }, last);
        }
        let open = 0;
        let openMax = 0;
        const openLtxFile = client.openLtxFile.bind(client);
        client.openLtxFile = async (...args) => {
          const body = await openLtxFile(...args);
          const counted = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
            openMax = Math.max(openMax, (open += 1));
            try {
              yield* body;
            } finally {
              open -= 1;
            }
          };
          return Object.assign(counted(), { info: body.info });
        };
        const report = await verifyReplica(client);
        expect(report.proven, `SEED=${seed + round}`).toBe(isRight);
        expect(report.faults.map(({ kind }) => kind)).toEqual(isRight ? [] : ['proof']);
        expect(report.newest?.txid).toBe(BigInt(txidMax));
        expect(openMax).toBe(1);
        expect(open).toBe(0);
      }
    }
  });

  it.each(['replaced', 'lost'])('proves beside retention, and reports a file that is lost: one is %s', async (kind) => {
    const history = new History({ pageSize: PAGE_SIZE, txidMax: 20, pageCountMax: 30, entropy: 0.5 }, new Seeded(seed));
    const right = checksumOf(history.states.at(-1) ?? Buffer.of());
    const client = new MemoryClient();
    const files: LtxFileRef[] = [];
    for (const [index, bytes] of history.files.entries()) {
      const txid = BigInt(index + 1);
      files.push({ level: 0, minTxid: txid, maxTxid: txid });
      await put(client, { level: 0, minTxid: txid, maxTxid: txid }, bytes);
    }
    const openLtxFile = client.openLtxFile.bind(client);
    let opened = 0;
    client.openLtxFile = async (file, ...rest) => {
      // First for the check of each file, then for the proof: that is when retention deletes all of them.
      if (file.level === 0 && file.maxTxid === 20n && (opened += 1) === 2) {
        if (kind === 'replaced') {
          const snapshot = await stating(await history.merged(1, 20), right);
          await put(client, { level: 9, minTxid: 1n, maxTxid: 20n }, snapshot);
        }
        await client.deleteLtxFiles(files);
      }
      return await openLtxFile(file, ...rest);
    };
    const report = await verifyReplica(client);
    expect(opened).toBe(2);
    expect(report.faults.map((fault) => fault.kind)).toEqual(kind === 'replaced' ? [] : ['proof']);
    expect(report.proven).toBe(kind === 'replaced');
  });

  it('lists as many files as there are', async () => {
    const client = new MemoryClient();
    const count = 200_000;
    client.ltxFiles = async function* (level) {
      if (level > 0) return;
      for (let txid = 2n; txid < count; txid++) {
        yield await Promise.resolve({ level, minTxid: txid, maxTxid: txid, size: 100, timestamp: new Date(0) });
      }
    };
    client.openLtxFile = () => Promise.reject(Object.assign(new Error('gone'), { code: 'NOT_FOUND' }));
    const report = await verifyReplica(client).catch((error: unknown) => error);
    expect(report).not.toBeInstanceOf(RangeError);
  });
});

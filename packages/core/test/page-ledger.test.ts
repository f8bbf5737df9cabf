/** Compares the page ledger with plain arithmetic on all pages. */
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { readLedger, writeLedger } from '../src/ledger/ledger-file.ts';
import { PageLedger, xorOf } from '../src/pages/page-ledger.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const FLAG = 1n << 63n;
const root = mkdtempSync(join(tmpdir(), 'litestream-ledger-'));
afterAll(() => removeFolder(root));
const { mode } = statSync(root);
const ownership = {
  fileMode: 0o600,
  folderMode: mode & 0o777,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
};

/** One transaction: size of the database after it, and seeds of the pages that it changes. */
const transactions = fc.array(
  fc.record({ pageCount: fc.integer({ min: 1, max: 2000 }), pages: fc.array(fc.nat(2999), { maxLength: 30 }) }),
  { minLength: 1, maxLength: 12 },
);

interface Change {
  readonly pageCount: number;
  readonly pgnos: Uint32Array;
  readonly checksums: BigUint64Array;
}

/** Every page that a database gains is in the transaction, as in an LTX file. */
function changeOf(before: number, { pageCount, pages }: { pageCount: number; pages: number[] }, salt: number): Change {
  const numbers = new Set(pages.map((page) => 1 + (page % pageCount)));
  for (let pgno = before + 1; pgno <= pageCount; pgno++) numbers.add(pgno);
  const pgnos = Uint32Array.from(numbers).sort();
  const checksums = BigUint64Array.from(
    pgnos,
    (pgno) => FLAG | (BigInt(pgno) * 0x9e3779b97f4a7c15n * BigInt(salt + 1)),
  );
  return { pageCount, pgnos, checksums };
}

function sumOfModel(model: readonly bigint[]): bigint {
  return FLAG | model.reduce((sum, each) => sum ^ each, 0n);
}

function applyToModel(model: bigint[], { pageCount, pgnos, checksums }: Change): void {
  for (const [index, pgno] of pgnos.entries()) model[pgno - 1] = checksums[index] ?? 0n;
  model.length = pageCount;
}

test('has the checksum of all pages after any transactions, in memory and on the disk', () => {
  fc.assert(
    fc.property(transactions, fc.nat(), (history, flushes) => {
      const first = changeOf(0, { pageCount: 5, pages: [] }, 0);
      const model = [...first.checksums];
      const ledger = new PageLedger(4096, 1n, new BigUint64Array(first.checksums));
      writeLedger(root, ledger, ownership, true);
      for (const [index, each] of history.entries()) {
        const change = changeOf(model.length, each, index + 1);
        const others = ledger.xorOfOthers(change.pgnos, change.pageCount);
        applyToModel(model, change);
        expect(FLAG | (others ^ xorOf(change.checksums))).toBe(sumOfModel(model));
        ledger.apply(BigInt(index + 2), change.pageCount, change.pgnos, change.checksums);
        expect(ledger.databaseChecksum).toBe(sumOfModel(model));
        if (((flushes >> index) & 1) === 1) {
          writeLedger(root, ledger, ownership, false);
          const read = readLedger(root, 10_000);
          expect(read).toMatchObject({ txid: BigInt(index + 2), pageCount: model.length, pageSize: 4096 });
          expect([...(read?.checksums ?? [])]).toEqual(model);
        }
        const pgnos = Uint32Array.from(model.keys(), (at) => at + 1);
        const now = BigUint64Array.from(model);
        expect([...ledger.differing(pgnos, now)]).toEqual([]);
        const at = index % model.length;
        now[at] = (now[at] ?? 0n) ^ 1n;
        expect([...ledger.differing(pgnos, now)]).toEqual([at]);
      }
    }),
  );
});

test('a file that is truncated, has a damaged header, or is too long is not read, nor is a folder', () => {
  const checksums = BigUint64Array.from({ length: 700 }, (_, at) => FLAG | BigInt(at));
  const path = join(root, 'ledger');
  const write = (): void => writeLedger(root, new PageLedger(1024, 9n, checksums.slice()), ownership, true);
  write();
  expect(readLedger(root, 700)?.databaseChecksum).toBe(FLAG | xorOf(checksums));
  expect(readLedger(root, 699)).toBeUndefined();
  truncateSync(path, statSync(path).size - 1);
  expect(readLedger(root, 700)).toBeUndefined();
  for (let at = 0; at < 48; at++) {
    write();
    const bytes = readFileSync(path);
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    writeFileSync(path, bytes);
    expect(readLedger(root, 700), `byte ${at}`).toBeUndefined();
  }
  rmSync(path);
  expect(readLedger(root, 700)).toBeUndefined();
});

/** The offset tables of `docs/reference/ltx-format.md` are those of the code. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { HEADER_SIZE, LtxEncoder, TRAILER_SIZE, decodeHeader, encodeHeader, kernel, newHeader } from '../src/index.ts';
import type { LtxExtension, LtxHeader } from '../src/index.ts';

const page = readFileSync(new URL('../../../docs/reference/ltx-format.md', import.meta.url), 'utf8');

interface Field {
  readonly offset: number;
  readonly size: number;
}

/** Fields of the table under a heading, by name. */
function tableOf(heading: string): Map<string, Field> {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = [...section.matchAll(/^\| (\d+) \| (\d+) \| \w* *\| `(\w+)` \|/gm)];
  return new Map(rows.map(([, offset, size, name]) => [name ?? '', { offset: Number(offset), size: Number(size) }]));
}

/** First and last byte in which two headers differ. */
function differenceOf(a: LtxHeader, b: LtxHeader): { readonly first: number; readonly last: number } {
  const [left, right] = [encodeHeader(a), encodeHeader(b)];
  const differing = [...left.keys()].filter((at) => left[at] !== right[at]);
  return { first: differing[0] ?? -1, last: differing.at(-1) ?? -1 };
}

const flag = 1n << 63n;
const ones = 0xffff_ffff;
const wide = 0x1f_ffff_ffff_ffff;
const extension: LtxExtension = { walEndOffset: 0, databaseChecksum: flag, previousChecksumHigh: 2 ** 31 };
const header = newHeader({
  flags: 0,
  pageSize: 512,
  commit: 0,
  minTxid: 2n,
  maxTxid: 2n ** 64n - 1n,
  timestampMs: 0,
  preApplyChecksum: flag,
  walOffset: 1,
  extension,
});

/** Values that change the first or the last byte of a field, or both. */
const changes: Readonly<Record<string, readonly Partial<LtxHeader>[]>> = {
  flags: [{ flags: 2, preApplyChecksum: 0n }],
  pageSize: [{ pageSize: 65536 }],
  commit: [{ commit: ones }],
  minTxid: [{ minTxid: 2n ** 64n - 1n }],
  maxTxid: [{ maxTxid: 2n ** 56n }],
  timestampMs: [{ timestampMs: -1 }],
  preApplyChecksum: [{ preApplyChecksum: 2n * flag - 1n }],
  walOffset: [{ walOffset: wide }],
  walSize: [{ walSize: wide }],
  salt1: [{ salt1: ones }],
  salt2: [{ salt2: ones }],
  nodeId: [{ nodeId: 2n ** 64n - 1n }],
};

const extensionChanges: Readonly<Record<string, LtxExtension>> = {
  marker: { ...extension, walEndOffset: undefined, createdAtMs: 0 },
  walEndOffset: { ...extension, walEndOffset: 2 ** 48 - 1 },
  databaseChecksum: { ...extension, databaseChecksum: 2n * flag - 1n },
  previousChecksumHigh: { ...extension, previousChecksumHigh: ones },
};

test('each field of the header is where the page says, and nothing is between', () => {
  const fields = tableOf('Header');
  expect([...fields.keys()]).toEqual(['magic', ...Object.keys(changes), 'extension']);
  let end = 0;
  for (const { offset, size } of fields.values()) {
    expect(offset).toBe(end);
    end += size;
  }
  expect(end).toBe(HEADER_SIZE);
  expect(new TextDecoder().decode(encodeHeader(header).subarray(0, 4))).toBe('LTX1');
  for (const [name, all] of Object.entries(changes)) {
    const { offset = 0, size = 0 } = fields.get(name) ?? {};
    for (const change of all) {
      const { first, last } = differenceOf(header, { ...header, ...change });
      expect(first, name).toBeGreaterThanOrEqual(offset);
      // The checksum before depends on the flag.
      if (name !== 'flags') expect(last, name).toBeLessThan(offset + size);
    }
  }
});

test('each field of the extension is where the page says', () => {
  const fields = tableOf('Extension');
  expect(fields.get('createdAtMs')).toEqual(fields.get('walEndOffset'));
  for (const [name, changed] of Object.entries(extensionChanges)) {
    const { offset = 0, size = 0 } = fields.get(name) ?? {};
    const { first, last } = differenceOf(header, { ...header, extension: changed });
    expect(first, name).toBeGreaterThanOrEqual(offset);
    expect(last, name).toBe(offset + size - 1);
  }
  const merged = encodeHeader({ ...header, extension: { ...extension, walEndOffset: undefined, createdAtMs: 258 } });
  expect([...merged.subarray(80, 88)]).toEqual([0x54, 0x53, 0, 0, 0, 0, 1, 2]);
  expect([...encodeHeader(header).subarray(80, 82)]).toEqual([0x54, 0x57]);
});

test('frames, index, trailer and file checksum are as the page says', () => {
  const pageSize = 512;
  const written = newHeader({ pageSize, commit: 2, minTxid: 1n, maxTxid: 1n });
  const encoder = new LtxEncoder(written);
  const pages = new Uint8Array(2 * pageSize).map((_, at) => at % 251);
  const chunks = [encoder.begin().slice(), encoder.encodePages([1, 2], pages).slice(), encoder.finish().slice()];
  const file = Buffer.concat(chunks);
  expect(decodeHeader(file)).toMatchObject({ minTxid: 1n, commit: 2 });

  const frame = tableOf('Page frame');
  const covered: Uint8Array[] = [file.subarray(0, HEADER_SIZE)];
  const entries: number[] = [];
  let at = HEADER_SIZE;
  for (const pgno of [1, 2]) {
    expect(file.readUInt32BE(at + (frame.get('pgno')?.offset ?? NaN))).toBe(pgno);
    expect(file.readUInt16BE(at + (frame.get('flags')?.offset ?? NaN))).toBe(1);
    const size = 10 + file.readUInt32BE(at + (frame.get('size')?.offset ?? NaN));
    covered.push(file.subarray(at, at + 10), pages.subarray((pgno - 1) * pageSize, pgno * pageSize));
    entries.push(pgno, ...uvarint(at), ...uvarint(size));
    at += size;
  }
  const index = [0, 0, 0, 0, 0, 0, ...entries, 0, 0, 0, 0, 0, 0, 0, 0, entries.length + 1];
  expect([...file.subarray(at, file.length - TRAILER_SIZE)]).toEqual(index);

  const trailer = tableOf('Trailer');
  const trailerAt = file.length - TRAILER_SIZE;
  expect(file.readBigUInt64BE(trailerAt + (trailer.get('postApplyChecksum')?.offset ?? NaN))).toBe(0n);
  covered.push(file.subarray(at, trailerAt + 8));
  const crc = covered.reduce((sum, bytes) => kernel().crc64(bytes, sum), 0n);
  expect(file.readBigUInt64BE(trailerAt + (trailer.get('fileChecksum')?.offset ?? NaN))).toBe(flag | crc);
});

function uvarint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...uvarint(Math.floor(value / 128))];
}

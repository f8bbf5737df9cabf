import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seedOf } from '../../../tests/support/random.ts';
import { contentChecksum } from '../src/validate/content-checksum.ts';

const seed = seedOf();
console.log(`content checksum: SEED=${seed}`);
fc.configureGlobal({ seed });

type Row = readonly [SQLInputValue, SQLInputValue];

const SCHEMA = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;';

function database(rows: readonly Row[], extra = ''): DatabaseSync {
  const db = new DatabaseSync(':memory:');
  db.exec(SCHEMA + extra);
  const insert = db.prepare('INSERT INTO t (a, b) VALUES (?, ?)');
  const keyed = db.prepare('INSERT INTO w VALUES (?, ?)');
  for (const [index, row] of rows.entries()) {
    insert.run(...row);
    keyed.run(`key ${index}`, row[0]);
  }
  return db;
}

const value: fc.Arbitrary<SQLInputValue> = fc.oneof(
  fc.constant(null),
  fc.constantFrom('', '1', '1.0', 1n, 1, 0n, -0, new Uint8Array(), new Uint8Array([49])),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true }),
  fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
  fc.uint8Array({ maxLength: 300 }),
  // Around the size of the buffer that is hashed at a time.
  fc.integer({ min: 65_500, max: 65_560 }).map((size) => new Uint8Array(size).fill(7)),
);
const rows = fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 12 });

/** SQLite's own notion of the same value: type and bytes. */
function literal(input: SQLInputValue): unknown {
  const db = new DatabaseSync(':memory:');
  const { type, text } = db.prepare('SELECT typeof(?) AS type, quote(?) AS text').get(input, input) ?? {};
  return `${String(type)} ${String(text)}`;
}

test('depends on rows and schema, not on pages', () => {
  fc.assert(
    fc.property(rows, (content) => {
      const plain = database(content);
      const moved = database(content, 'PRAGMA page_size = 512; CREATE TABLE gone (x);');
      moved.exec(
        'INSERT INTO gone VALUES (randomblob(5000)); DROP TABLE gone; CREATE TABLE _litestream_seq (x); VACUUM',
      );
      const expected = contentChecksum(plain);
      expect(contentChecksum(moved)).toEqual(expected);
      expect(expected.tables.get('t')?.rowCount).toBe(content.length);
    }),
    { numRuns: 60 },
  );
});

test('differs when one value differs, in type or in content, or moves to its neighbour', () => {
  fc.assert(
    fc.property(rows, value, fc.nat(), fc.boolean(), (content, changed, at, first) => {
      const index = at % content.length;
      const [a, b] = content[index] ?? [null, null];
      if (literal(first ? a : b) === literal(changed)) return;
      const other = content.with(index, first ? [changed, b] : [a, changed]);
      const before = contentChecksum(database(content));
      const after = contentChecksum(database(other));
      expect(after.checksum).not.toBe(before.checksum);
      expect(after.tables.get('t')).not.toEqual(before.tables.get('t'));
    }),
    { numRuns: 200 },
  );
  const text = contentChecksum(database([['ab', 'c']]));
  expect(contentChecksum(database([['a', 'bc']])).checksum).not.toBe(text.checksum);
});

test.each([
  'PRAGMA user_version = 3;',
  'PRAGMA application_id = 3;',
  'CREATE INDEX i ON t (a);',
  'CREATE VIEW v AS SELECT 1;',
  'CREATE TABLE more (x);',
  'CREATE TRIGGER r AFTER INSERT ON w BEGIN SELECT 1; END;',
])('differs after %s', (extra) => {
  const plain = contentChecksum(database([[1, 2]]));
  expect(contentChecksum(database([[1, 2]], extra)).checksum).not.toBe(plain.checksum);
});

test('reads virtual tables through the tables they are kept in', () => {
  const search = "CREATE VIRTUAL TABLE f USING fts5 (body); INSERT INTO f VALUES ('one');";
  const before = contentChecksum(database([], search));
  expect([...before.tables.keys()]).toContain('f_content');
  const after = contentChecksum(database([], `${search} UPDATE f SET body = 'two';`));
  expect(after.checksum).not.toBe(before.checksum);
});

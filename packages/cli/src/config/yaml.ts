/** Reads the YAML of configs: version 1.1, repeated keys (the last one counts), with the position of every node. */
import { LitestreamError } from '@litestream/core';
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseAllDocuments, parseDocument } from 'yaml';
import type { Document, Node, Scalar } from 'yaml';
import { BOOLEAN_KEYS, INTEGER_KEYS } from './keys.ts';

export interface YamlConfig {
  /** Plain objects, arrays and scalars. Scalars of text keys are the text as written. */
  readonly value: unknown;
  /** `file:line:column` of the node at this path, or of the nearest one around it that exists. */
  readonly where: (path: readonly PropertyKey[]) => string;
  /** The same for the key at the end of the path, not its value. */
  readonly whereKey: (path: readonly PropertyKey[]) => string;
  /** True for a key without a value, such as a `replica:` whose settings are not indented. */
  readonly isEmpty: (path: readonly PropertyKey[]) => boolean;
  /** A warning that documents follow the first one; undefined if none does. */
  readonly ignored: string | undefined;
}

const OPTIONS = {
  version: '1.1',
  uniqueKeys: false,
  merge: true,
  prettyErrors: false,
  logLevel: 'error',
} as const;

/** @param file Name for messages. */
export function parseYaml(text: string, file: string): YamlConfig {
  const lines = new LineCounter();
  const [document = parseDocument(''), ...more]: readonly Document[] = parseAllDocuments(text, {
    ...OPTIONS,
    lineCounter: lines,
  });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const [error] = document.errors;
  if (error !== undefined) {
    throw new LitestreamError(`${place(error.pos[0])}: not valid YAML: ${error.message}`, {
      code: 'CONFIG_INVALID',
      hint: 'Check the indentation, colons and quotes around that place.',
    });
  }
  const nodeAt = (path: readonly PropertyKey[]): unknown =>
    path.length === 0 ? document.contents : document.getIn(path, true);
  const where = (path: readonly PropertyKey[]): string => {
    for (let length = path.length; length >= 0; length -= 1) {
      const node = nodeAt(path.slice(0, length)) as Node | undefined;
      if (node?.range) return place(node.range[0]);
    }
    return file;
  };
  return {
    value: plain(document.contents, undefined, { document, left: NODES_MAX, depth: 0, place }),
    where,
    whereKey: (path) => {
      const map = nodeAt(path.slice(0, -1));
      const pair = isMap(map) && map.items.find(({ key }) => isScalar(key) && String(key.value) === path.at(-1));
      if (pair && isScalar(pair.key) && pair.key.range) return place(pair.key.range[0]);
      return where(path);
    },
    isEmpty: (path) => {
      const node = nodeAt(path);
      return isEmptyNode(node);
    },
    ignored: ignoredText(more, place),
  };
}

function ignoredText(documents: readonly Document[], place: (offset: number) => string): string | undefined {
  const node = documents.map(({ contents }) => contents).find((contents) => !isEmptyNode(contents)) as Node | undefined;
  if (!node?.range) return undefined;
  return `${place(node.range[0])}: only the first YAML document is read; all others are ignored`;
}

function isEmptyNode(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

/** Far more than any config needs. Aliases of aliases can expand one page to billions of nodes. */
const NODES_MAX = 100_000;
const DEPTH_MAX = 100;

interface Reading {
  readonly document: Document;
  /** How many more nodes are allowed. */
  left: number;
  depth: number;
  /** `file:line:column`. */
  readonly place: (offset: number) => string;
}

function plain(node: unknown, key: string | undefined, reading: Reading): unknown {
  reading.left -= 1;
  if (reading.left < 0 || reading.depth > DEPTH_MAX)
    throw refusal(node, reading, 'its aliases expand to too many values');
  reading.depth += 1;
  const value = plainOf(node, key, reading);
  reading.depth -= 1;
  return value;
}

function refusal(node: unknown, reading: Reading, reason: string): LitestreamError {
  const offset = (node as Node | null)?.range?.[0] ?? 0;
  return new LitestreamError(`${reading.place(offset)}: not a usable config: ${reason}`, { code: 'CONFIG_INVALID' });
}

function plainOf(node: unknown, key: string | undefined, reading: Reading): unknown {
  if (isAlias(node)) return plain(node.resolve(reading.document), key, reading);
  if (isSeq(node)) return node.items.map((item) => plain(item, key, reading));
  if (isMap(node)) {
    const entries: Record<string, unknown> = {};
    for (const { key: keyNode, value } of node.items) {
      const name = isScalar(keyNode) ? (keyNode.source ?? String(keyNode.value)) : String(keyNode);
      // An assignment would give the object another prototype, and with it keys that the file does not show.
      if (name === '__proto__') throw refusal(keyNode, reading, 'no key is called __proto__');
      const item = plain(value, name, reading);
      if (name === '<<') Object.assign(entries, merged(item), entries);
      // An empty section (`snapshot:` with nothing below) leaves the defaults as they are.
      else if (item !== null) entries[name] = item;
    }
    return entries;
  }
  return isScalar(node) ? scalarOf(node, key) : null;
}

/**
 * Numbers and booleans for the keys that take them. Other keys get the text as written, as in Litestream (Go): a bucket may be
 * named like a date, and a password may be `0600` or `1e3`.
 */
function scalarOf(node: Scalar, key: string | undefined): unknown {
  const { value, source } = node;
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value instanceof Date) return source ?? value.toISOString();
  const isPlain = node.type === 'PLAIN';
  // Octal as YAML 1.2 writes it.
  const [, octal] =
    isPlain && key !== undefined && INTEGER_KEYS.has(key) ? (/^0o([0-7]+)$/.exec(source ?? '') ?? []) : [];
  if (octal !== undefined) return Number.parseInt(octal, 8);
  if (typeof value !== 'number' && typeof value !== 'boolean') return value;
  // Go reads no base-60 numbers.
  const isNatural =
    key === undefined || BOOLEAN_KEYS.has(key) || (INTEGER_KEYS.has(key) && source?.includes(':') !== true);
  return isNatural ? value : (source ?? String(value));
}

function merged(value: unknown): unknown {
  return Array.isArray(value) ? Object.assign({}, ...value.toReversed()) : value;
}

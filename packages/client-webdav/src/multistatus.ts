/** Reads the listing of a folder: a `multistatus` document (RFC 4918, section 13). */
import { posix } from 'node:path';

import { loadSdk, malformedAnswer } from '@litestream/core';

/** A file or a folder of a listing. */
export interface DavEntry {
  /** Path of its URL, decoded. */
  readonly filename: string;
  readonly basename: string;
  readonly type: 'file' | 'directory';
  /** Bytes; undefined if the server does not report it. */
  readonly size: number | undefined;
  readonly lastmod: string | undefined;
  /** As the server sends it. */
  readonly etag: string | undefined;
}

export type ReadMultistatus = (text: string) => DavEntry[];

/** Loads the XML library. */
export async function multistatusReader(): Promise<ReadMultistatus> {
  const { XMLParser, XMLValidator } = await loadSdk('fast-xml-parser', () => import('fast-xml-parser'));
  const parser = new XMLParser({
    removeNSPrefix: true,
    ignoreAttributes: true,
    parseTagValue: false,
    // Declared entities can expand some hundred bytes to gigabytes, so only those of XML itself are decoded.
    processEntities: false,
    isArray: (name) => name === 'response' || name === 'propstat',
  });
  return (text) => {
    if (/<!DOCTYPE|<!ENTITY/i.test(text)) throw malformed('it declares entities of its own');
    if (XMLValidator.validate(text, { allowBooleanAttributes: true }) !== true)
      throw malformed('it is not a valid listing');
    return entriesOf(parser.parse(text) as unknown);
  };
}

function entriesOf(document: unknown): DavEntry[] {
  if (!isRecord(document) || !('multistatus' in document)) throw malformed('it is not a valid listing');
  const { multistatus } = document;
  const { response = [] } = isRecord(multistatus) ? multistatus : {};
  // A listing includes the folder itself.
  if ((response as unknown[]).length === 0) throw malformed('the listing does not name the folder');
  return (response as unknown[]).flatMap((one) => entryOf(one) ?? []);
}

/** Undefined for an entry that was deleted meanwhile. */
function entryOf(response: unknown): DavEntry | undefined {
  if (!isRecord(response)) throw malformed('the listing holds something that is not an entry');
  const { href, status, propstat } = response;
  if (typeof href !== 'string' || href === '') throw malformed('the listing holds an entry without a name');
  if (propstat === undefined) {
    const code = statusOf(status);
    if (code === 404 || code === 410) return undefined;
    // 507: the server truncated the listing.
    throw malformed(`the listing has ${code === undefined ? 'no status' : `status ${code}`} for an entry`);
  }
  const prop = propertiesOf(propstat as unknown[]);
  const filename = decoded(textOf(href) ?? '');
  return {
    filename,
    basename: posix.basename(filename),
    type: isRecord(prop['resourcetype']) && 'collection' in prop['resourcetype'] ? 'directory' : 'file',
    size: sizeOf(textOf(prop['getcontentlength'])),
    lastmod: textOf(prop['getlastmodified']),
    etag: textOf(prop['getetag']),
  };
}

/** The properties of an entry. A server may list missing ones before them. */
function propertiesOf(propstats: readonly unknown[]): Readonly<Record<string, unknown>> {
  const found = propstats.filter(isRecord).filter(({ status }) => (statusOf(status) ?? 200) < 300);
  return Object.assign({}, ...found.map(({ prop }) => prop)) as Readonly<Record<string, unknown>>;
}

/** `HTTP/1.1 404 Not Found`. */
function statusOf(line: unknown): number | undefined {
  const [, code] = /^\s*HTTP\/[\d.]+ (\d{3})\b/.exec(typeof line === 'string' ? line : '') ?? [];
  return code === undefined ? undefined : Number(code);
}

function sizeOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** Text of an element without its attributes, its entities decoded. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return value.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(amp|lt|gt|quot|apos));/gi, (whole, hex, decimal, name) => {
    if (typeof name === 'string') return ENTITIES[name.toLowerCase()] ?? whole;
    const code = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

function decoded(href: string): string {
  try {
    return decodeURIComponent(href);
  } catch {
    throw malformed('the listing holds a name with a broken % escape');
  }
}

function malformed(what: string): Error {
  return malformedAnswer('webdav', what);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

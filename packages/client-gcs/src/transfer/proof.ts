/**
 * A proxy or a login page may answer any request with status 200. Each answer must hold what the service returns, and what no
 * web page holds.
 */
import { type ListPage, type ObjectHead, type StoredObject, malformedAnswer } from '@litestream/core/client';
import type { Readable } from 'node:stream';

import type { GcsResponse } from './request.ts';

/** Reads a page of a listing. `timeKey`: the metadata with the time of the last commit. */
export function listingOf(data: unknown, timeKey: string): ListPage {
  if (!isRecord(data)) throw malformedAnswer('gs', 'it is not a valid listing');
  const { kind, items = [], nextPageToken } = data;
  // A listing without objects holds only its kind.
  if (kind !== 'storage#objects' && data['items'] === undefined)
    throw malformedAnswer('gs', 'it is not a valid listing');
  if (!Array.isArray(items)) throw malformedAnswer('gs', 'the listing has no list of objects');
  return { objects: items.map((item) => listedObject(item, timeKey)), next: nextPageToken };
}

function listedObject(item: unknown, timeKey: string): StoredObject {
  if (!isRecord(item)) throw malformedAnswer('gs', 'the listing holds an entry that is not an object');
  const { name, size, generation, updated, timeCreated } = item;
  if (typeof name !== 'string' || name === '')
    throw malformedAnswer('gs', 'the listing holds an object without a name');
  if (textOf(size) === undefined) throw malformedAnswer('gs', 'the listing holds an object without a size');
  const time = recordOf(item['metadata'])[timeKey];
  return {
    key: name,
    size: Number(size),
    lastModified: new Date(textOf(updated) ?? 0),
    createdAt: new Date(textOf(timeCreated) ?? 0),
    version: textOf(generation),
    time: typeof time === 'string' ? time : undefined,
  };
}

/** Numbers come as text, since they may exceed what JSON numbers can hold. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

/** The generation of an object that is downloaded. */
export function provenDownload(headers: Headers, body: Readable): string {
  const generation = headers.get('x-goog-generation');
  if (generation !== null) return generation;
  body.destroy();
  throw malformedAnswer('gs', 'it does not describe the object');
}

/** Reads the resource of an object. */
export function storedObject(data: unknown, key: string): ObjectHead {
  const { name, size, generation, updated } = recordOf(data);
  // Numbers come as text, since they may exceed what JSON numbers can hold.
  const isWhole = /^\d+$/.test(String(size)) && /^\d+$/.test(String(generation));
  if (name !== key || !isWhole) throw malformedAnswer('gs', 'it does not describe the object');
  return {
    size: Number(size),
    version: String(generation),
    lastModified: typeof updated === 'string' ? new Date(updated) : undefined,
  };
}

/** Reads the resource of an object that was just stored, and compares it with the sent bytes. */
export function storedUpload(data: unknown, key: string, sent: { size: number; md5: string }): ObjectHead {
  const stored = storedObject(data, key);
  if (stored.size !== sent.size) throw malformedAnswer('gs', `it has ${stored.size} of ${sent.size} bytes stored`);
  // Missing for objects under a customer's key.
  const { md5Hash } = recordOf(data);
  if (md5Hash !== undefined && md5Hash !== sent.md5) throw malformedAnswer('gs', 'it has other bytes stored');
  return stored;
}

/** The service answers with 204; an emulator with 200 and `null`. */
export function provenDeletion({ status, data }: GcsResponse<unknown>): void {
  if (status === 204 || data === null || data === undefined || data === '') return;
  throw malformedAnswer('gs', `it confirms a deletion with status ${status} and a text`);
}

function recordOf(data: unknown): Readonly<Record<string, unknown>> {
  return isRecord(data) ? data : {};
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

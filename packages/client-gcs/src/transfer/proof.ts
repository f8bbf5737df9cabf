/**
 * A proxy or a login page may answer any request with status 200. Each answer must hold what the service returns, and what no
 * web page holds.
 */
import { malformedAnswer } from '@litestream/core';

import type { GcsResponse } from './request.ts';

/** The server's description of a stored object. */
export interface StoredObject {
  readonly size: number;
  readonly generation: string;
  readonly updated: Date | undefined;
}

/** Reads the resource of an object. */
export function storedObject(data: unknown, key: string): StoredObject {
  const { name, size, generation, updated } = recordOf(data);
  // Numbers come as text, since they may exceed what JSON numbers can hold.
  const isWhole = /^\d+$/.test(String(size)) && /^\d+$/.test(String(generation));
  if (name !== key || !isWhole) throw malformedAnswer('gs', 'it does not describe the object');
  return {
    size: Number(size),
    generation: String(generation),
    updated: typeof updated === 'string' ? new Date(updated) : undefined,
  };
}

/** Reads the resource of an object that was just stored, and compares it with the sent bytes. */
export function storedUpload(data: unknown, key: string, sent: { size: number; md5: string }): StoredObject {
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
  return typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {};
}

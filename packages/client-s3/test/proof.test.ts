/** Honest servers of S3 differ in what they say beside their data, and each of them is believed. */
import { guardClient } from '@litestream/core';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import type { Answer, Call } from '../../../tests/support/protocol-server.ts';
import { S3ReplicaClient } from '../src/index.ts';
import { S3TestServer } from './s3-server.ts';
import { MIB, clientFor, file, randomBody } from './support.ts';

let server: S3TestServer;
beforeEach(async () => (server = await S3TestServer.start()));
afterEach(async () => await server[Symbol.asyncDispose]());

/** Has each answer of the server changed. */
function change(how: (call: Call, answer: Answer) => Partial<Answer>): void {
  const inside = server as unknown as { answer(call: Call, request: unknown): Answer | Promise<Answer> };
  const answer = inside.answer.bind(server);
  inside.answer = async (call, request) => {
    const given = await answer(call, request);
    return { ...given, ...how(call, given) };
  };
}

const retry = { attemptCountMax: 1 };
const timestamp = new Date('2026-11-24T01:02:03Z');

describe('is believed:', () => {
  test.each([
    ['calls every answer without a byte a web page, as moto does', { 'content-type': 'text/html; charset=utf-8' }, 204],
    ['numbers its answers', { 'x-amz-request-id': '1' }, 204],
    ['answers 200 to a deletion', {}, 200],
  ] as const)('a server that %s', async (_, headers, deleted) => {
    change((call, { status, headers: given, body }) => ({
      headers: body.byteLength === 0 ? { ...given, ...headers } : given,
      status: call.operation === 'DeleteObject' ? deleted : status,
    }));
    await using client = guardClient(clientFor(server), { retry });
    await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1000).body);
    const { body } = randomBody(6 * MIB);
    await client.writeLtxFile({ ...file(2n), timestamp }, { open: () => body.open() });
    expect(await Array.fromAsync(client.ltxFiles(0))).toHaveLength(2);
    await client.deleteLtxFiles([file(1n)]);
    await client.objects?.put('lock.json', Buffer.from('{}'), { ifNoneMatch: '*' });
    await client.objects?.delete('lock.json');
    expect(server.keys()).toHaveLength(1);
  });
});

describe('is not believed:', () => {
  test('a checksum of other bytes than those that were sent', async () => {
    // Only of AWS itself is a checksum asked.
    vi.stubEnv('AWS_ENDPOINT_URL_S3', server.endpoint);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { accessKeyId, secretAccessKey } = server;
    const place = { bucket: 'litestream', path: 'app', region: 'us-east-1', forcePathStyle: true };
    await using client = guardClient(new S3ReplicaClient({ ...place, accessKeyId, secretAccessKey }, {}), { retry });
    const write = async (): Promise<unknown> =>
      await client.writeLtxFile({ ...file(1n), timestamp }, randomBody(1000).body);
    let theirs: (sent: string) => string = (sent) => sent;
    change((call, { headers }) => {
      const sent = call.headers['x-amz-checksum-crc32'];
      return typeof sent === 'string' ? { headers: { ...headers, 'x-amz-checksum-crc32': theirs(sent) } } : {};
    });
    await write();
    expect(server.calls.at(-1)?.headers).toHaveProperty('x-amz-checksum-crc32');
    theirs = () => 'AAAAAA==';
    await expect(write()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('checksum-crc32 is not that') as string,
    });
  });
});

/** Whose fault is a failed upload: the body's, or the request's? */
import { Readable } from 'node:stream';
import { BodyReader } from '@litestream/core';
import { expect, test } from 'vitest';

const refused = new Error('the server refused it');

test('a stream that its reader destroys does not make it the fault of the body', async () => {
  const reader = new BodyReader({
    open: async function* () {
      for (;;) yield Buffer.alloc(1000);
    },
  });
  const stream = Readable.from(reader.chunks(), { objectMode: false });
  stream.on('error', () => undefined);
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.on('close', resolve);
  for await (const chunk of stream) {
    expect(chunk).toBeInstanceOf(Buffer);
    break;
  }
  await promise;
  expect(reader.errorOr(refused)).toBe(refused);
});

test('an error of the body is what is thrown', async () => {
  const failure = new Error('disk gone');
  const reader = new BodyReader({
    open: async function* () {
      yield Buffer.alloc(1000);
      throw failure;
    },
  });
  await expect(Array.fromAsync(reader.chunks())).rejects.toBe(failure);
  expect(reader.errorOr(refused)).toBe(failure);
});

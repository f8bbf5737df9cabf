import type { Body, Logger, ReplicaClient } from '@litestream/core';
import { Progress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Smaller files upload too fast for a progress bar. */
const SIZE_MIN = 16 * 1024 * 1024;

/** Wraps a client: shows progress while it uploads a large file, such as the first snapshot. */
export function showUploads(client: ReplicaClient, options: { terminal: Terminal; logger: Logger }): ReplicaClient {
  return new Proxy(client, {
    get(target, name) {
      if (name === 'writeLtxFile') return writeLtxFile;
      // Private fields work only on the client itself.
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });

  async function writeLtxFile(
    ...[file, body, op]: Parameters<ReplicaClient['writeLtxFile']>
  ): ReturnType<ReplicaClient['writeLtxFile']> {
    const { size } = body;
    if (size === undefined || size < SIZE_MIN) return client.writeLtxFile(file, body, op);
    const progress = new Progress({ ...options, name: 'upload' });
    try {
      return await client.writeLtxFile(file, counted(body, size, progress), op);
    } finally {
      progress.clear();
    }
  }
}

function counted(body: Body, size: number, progress: Progress): Body {
  return {
    ...body,
    async *open() {
      let done = 0;
      for await (const chunk of body.open()) {
        yield chunk;
        done += chunk.length;
        progress.update('write', done, size);
      }
    },
  };
}

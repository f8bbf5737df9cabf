import assert from 'node:assert/strict';

import type { ConformanceCase } from '../model/case.ts';
import { fileOf } from '../model/case.ts';

const BLOCK_SIZE = 1 << 20;

export const largeCases: readonly ConformanceCase[] = [
  {
    name: 'a very large object streams in and out in bounded memory',
    requires: ['large'],
    variations: ['guarded'],
    run: async ({ client, random, largeSize }) => {
      // Two offset halves of one random block: no two places of the object look alike after a shift.
      const block = Buffer.from(random.bytes(65_536));
      const chunkAt = (index: number): Buffer => {
        const chunk = Buffer.alloc(BLOCK_SIZE);
        for (let at = 0; at < BLOCK_SIZE; at += block.length) block.copy(chunk, at);
        chunk.writeDoubleBE(index);
        return chunk.subarray(0, Math.min(BLOCK_SIZE, largeSize - index * BLOCK_SIZE));
      };
      const blockCount = Math.ceil(largeSize / BLOCK_SIZE);
      let rssMax = 0;
      const rssBefore = process.memoryUsage.rss();
      const body = {
        open: async function* () {
          for (let index = 0; index < blockCount; index++) {
            rssMax = Math.max(rssMax, process.memoryUsage.rss());
            yield chunkAt(index);
          }
        },
      };
      const info = await client.writeLtxFile({ ...fileOf(1, '', 9), timestamp: new Date(0) }, body);
      assert.equal(info.size, largeSize);
      let position = 0;
      let expected = chunkAt(0);
      for await (const chunk of await client.openLtxFile(info)) {
        rssMax = Math.max(rssMax, process.memoryUsage.rss());
        for (let at = 0; at < chunk.byteLength;) {
          const inBlock = position % BLOCK_SIZE;
          const size = Math.min(BLOCK_SIZE - inBlock, chunk.byteLength - at);
          const same = Buffer.compare(chunk.subarray(at, at + size), expected.subarray(inBlock, inBlock + size)) === 0;
          assert.ok(same, `bytes at ${position} differ`);
          at += size;
          position += size;
          if (position % BLOCK_SIZE === 0) expected = chunkAt(position / BLOCK_SIZE);
        }
      }
      assert.equal(position, largeSize);
      const grownMiB = (rssMax - rssBefore) / 2 ** 20;
      assert.ok(grownMiB < 512, `memory grew by ${grownMiB.toFixed(0)} MiB`);
      await client.deleteLtxFiles([info]);
    },
  },
];

/** The restore points of replicas that v0.3.13 wrote, before and after an upgrade. */
import { join } from 'node:path';
import { FileClient, guardClient, listRestorePoints, restore } from '@litestream/core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { verifyChain } from '../support/chain.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { copyV3Fixture, loadV3Fixtures } from '../support/v3-fixture.ts';

const fixtures = await loadV3Fixtures();

describe.each(fixtures)('made by v0.3.13: $name', (fixture) => {
  test('each restore point restores completely by its time', async () => {
    const folder = await temporaryFolder(fixture.name);
    onTestFinished(() => folder[Symbol.asyncDispose]());
    const replica = join(folder.path, 'replica');
    await copyV3Fixture(fixture, replica);
    const client = guardClient(new FileClient({ path: replica }));
    const points = await listRestorePoints(client);
    expect(points.some(({ format }) => format === 'v0.3')).toBe(true);
    const times = new Set(points.map(({ timestamp }) => timestamp.getTime()));
    for (const time of times) {
      const output = join(folder.path, `${time}.db`);
      await restore(client, { output, timestamp: new Date(time) });
      expect(verifyChain(output)).toBeDefined();
    }
  });
});

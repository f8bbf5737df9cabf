import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { start as startServer } from '../../tests/services/servers/versitygw.ts';
import { Child } from '../../tests/support/child.ts';
import type { Program } from '../../tests/support/programs.ts';
import { fileUrl, ourProgram } from '../../tests/support/programs.ts';
import type { BenchCase } from '../lib/case.ts';
import { alternate, costOf, costRows, describeCost, settleDisk } from '../lib/cost.ts';
import { snapshotReplica } from '../lib/replicas.ts';
import { sameFiles } from '../lib/same-files.ts';

const timeoutMs = 300_000;

export const restoreS3: BenchCase = {
  name: 'restore-s3',
  about: 'the large database from one snapshot on an S3 server (versitygw) on loopback (needs Go once)',
  async run({ options, cache, folder, go, ours, log }) {
    const replica = await snapshotReplica(cache, options.size, go);
    const server = await startServer();
    try {
      const { bucket, endpoint, region, ...rest } = server.config as Record<string, string>;
      const path = 'replica';
      const query = new URLSearchParams({ endpoint: endpoint ?? '', region: region ?? '', forcePathStyle: 'true' });
      await new Child(
        'copy to S3',
        process.execPath,
        [ourProgram, 'copy', fileUrl(replica), `s3://${bucket}/${path}?${query.toString()}`],
        {
          env: {
            ...process.env,
            LITESTREAM_ACCESS_KEY_ID: rest['access-key-id'],
            LITESTREAM_SECRET_ACCESS_KEY: rest['secret-access-key'],
          },
        },
      ).done(timeoutMs);

      const database = join(folder, 'app.db');
      const config = join(folder, 's3.yml');
      const settings = Object.entries({ ...server.config, path });
      const lines = settings.map(([key, value]) => `      ${key}: ${JSON.stringify(value)}\n`);
      await writeFile(config, `dbs:\n  - path: ${database}\n    replica:\n${lines.join('')}`);
      const outputs = { go: join(folder, 's3-by-go.db'), ours: join(folder, 's3-by-us.db') };
      const by = (program: Program, output: string) => async () => {
        await rm(output, { force: true });
        await settleDisk(folder);
        return costOf(() => program.start('restore', '-config', config, '-o', output, database));
      };
      const subjects = { go: by(go, outputs.go), ours: by(ours, outputs.ours) };
      const costs = await alternate(options.roundCount, subjects, (name, _round, cost) =>
        log(`${name}: ${describeCost(cost)}`),
      );
      await sameFiles(outputs.go, outputs.ours);
      for (const output of Object.values(outputs)) await rm(output, { force: true });
      return costRows(`restore ${(options.size / 1e9).toFixed(2)} GB from S3`, costs, {
        targets: { wall: [{ of: 'ours/go', max: 1 / 5 }], memory: [{ of: 'ours', max: 256 }] },
      });
    } finally {
      await server.stop();
    }
  },
};

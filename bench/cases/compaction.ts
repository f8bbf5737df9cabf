import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LtxDecoder } from '@litestream/ltx';
import { Child } from '../../tests/support/child.ts';
import { cacheFolder, repositoryRoot } from '../../tests/support/repository.ts';
import type { BenchCase, Row } from '../lib/case.ts';
import { alternate, costOf, settleDisk } from '../lib/cost.ts';
import { filesOf, linkLevel0, manyFilesReplica } from '../lib/replicas.ts';

/** What a program says of the work itself; starting it is left out, for a daemon is running already. */
interface Compaction {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly rssMax: number;
  readonly processWallMs: number;
}

export const compaction: BenchCase = {
  name: 'compaction',
  about: "159 level-0 files into one; Go's `ltx` library in a small program (needs Go once)",
  async run({ options, cache, folder, log }): Promise<readonly Row[]> {
    const replica = await manyFilesReplica(cache, options.size);
    const inputs = await filesOf(replica, 0);
    const size = inputs.reduce((sum, file) => sum + file.size, 0);
    const program = await goCompact();
    const goFolder = join(folder, 'compacted-by-go');
    const ourFolder = join(folder, 'compacted-by-us');
    await linkLevel0(replica, ourFolder);
    await mkdir(goFolder, { recursive: true });

    const paths = inputs.map((file) => file.path);
    const merged = join(goFolder, 'merged.ltx');
    const byGo = async (): Promise<Compaction> => {
      await rm(merged, { force: true });
      await settleDisk(folder);
      const { wallNs, cpuNs, ...cost } = await printedBy<{ wallNs: number; cpuNs: number }>(
        () => new Child('go compact', program, [merged, ...paths]),
      );
      return { ...cost, wallMs: wallNs / 1e6, cpuMs: cpuNs / 1e6 };
    };
    const byUs = async (): Promise<Compaction> => {
      for (const { path } of await filesOf(ourFolder, 1)) await rm(path);
      await settleDisk(folder);
      const script = join(repositoryRoot, 'bench', 'children', 'compact.ts');
      return printedBy<{ wallMs: number; cpuMs: number }>(
        () => new Child('our compact', process.execPath, ['--no-warnings', script, ourFolder]),
      );
    };
    const costs = await alternate(options.roundCount, { go: byGo, ours: byUs }, (name, _round, cost) => {
      log(
        `${name}: ${cost.wallMs.toFixed(0)} ms, CPU ${cost.cpuMs.toFixed(0)} ms, process ${cost.processWallMs.toFixed(0)} ms`,
      );
    });
    const outputs = await filesOf(ourFolder, 1);
    const [output] = outputs;
    if (output === undefined || outputs.length > 1) throw new Error(`${outputs.length} files came of one compaction`);
    await sameMerge(merged, output.path);
    const work = `compact ${inputs.length} level-0 files, ${(size / 1e6).toFixed(1)} MB`;
    const row = (
      measure: string,
      unit: Row['unit'],
      of: (cost: Compaction) => number,
      targets?: Row['targets'],
    ): Row => ({
      work,
      measure,
      unit,
      go: costs.go.map(of),
      ours: costs.ours.map(of),
      ...(targets === undefined ? {} : { targets }),
    });
    return [
      row('wall', 's', ({ wallMs }) => wallMs / 1000, [{ of: 'ours/go', max: 1 / 8 }]),
      row('CPU', 's', ({ cpuMs }) => cpuMs / 1000),
      row('wall with the start of the process', 's', ({ processWallMs }) => processWallMs / 1000),
      row('memory', 'MB', ({ rssMax }) => rssMax / 1e6),
    ];
  },
};

async function printedBy<Printed>(
  start: () => Child,
): Promise<Printed & { readonly rssMax: number; readonly processWallMs: number }> {
  let child: Child | undefined;
  const cost = await costOf(() => (child = start()));
  const printed = JSON.parse(child?.stdout ?? '') as Printed;
  return { ...printed, rssMax: cost.rssMax, processWallMs: cost.wallMs };
}

/** Both must hold the same newest pages; the headers may differ where the format leaves room. */
async function sameMerge(one: string, other: string): Promise<void> {
  const [a, b] = await Promise.all([checksumOfPages(one), checksumOfPages(other)]);
  if (a !== b) throw new Error(`${one} and ${other} hold different pages`);
}

async function checksumOfPages(path: string): Promise<string> {
  const decoder = new LtxDecoder(createReadStream(path), { file: path });
  const hash = createHash('sha256');
  for await (const { pgnos, pages } of decoder.batches()) hash.update(pgnos).update(pages);
  await decoder.finish();
  return hash.digest('hex');
}

/** The Go side, built on first use and kept. */
async function goCompact(): Promise<string> {
  const program = join(await cacheFolder('bench'), 'go-compact');
  const cwd = join(repositoryRoot, 'bench', 'go');
  try {
    await promisify(execFile)('go', ['build', '-o', program, '.'], { cwd });
  } catch (error) {
    throw new Error('cannot build bench/go: the compaction case needs Go 1.24 or newer', { cause: error });
  }
  return program;
}

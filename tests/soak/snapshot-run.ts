/** `npm run soak -- --snapshot [--size-mib 1024]` measures a snapshot of a big database beside a writer at full speed. */
import { parseArgs } from 'node:util';
import { logGrewTooMuch, snapshotBesideWriter, writerStoodStill } from './snapshot.ts';
import type { SnapshotFigures } from './snapshot.ts';

const MIB = 2 ** 20;

function tableOf(figures: SnapshotFigures): string {
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
  const rate = (count: number, durationMs: number): string => `${((count * 1000) / durationMs).toFixed(0)} a second`;
  const rows: readonly (readonly [string, string])[] = [
    ['database', mib(figures.databaseSize)],
    ['duration of the snapshot', `${figures.snapshotMs} ms`],
    [
      'commits before / meanwhile',
      `${rate(figures.commitsBefore, figures.warmUpMs)} / ${rate(figures.commitsDuring, figures.snapshotMs)}`,
    ],
    [
      'longest commit before / meanwhile',
      `${figures.stallMsBefore.toFixed(1)} / ${figures.stallMsDuring.toFixed(1)} ms`,
    ],
    ['longest write lock of ours', `${figures.lockMsMax.toFixed(1)} ms`],
    [
      'the same beside a program that copies the database, without us',
      `${rate(figures.commitsCopy, figures.copyMs)}, longest commit ${figures.stallMsCopy.toFixed(1)} ms`,
    ],
    ['WAL file before / meanwhile, at most', `${mib(figures.walBefore)} / ${mib(figures.walDuring)}`],
    ['committed meanwhile, as frames of the log', mib(figures.framesDuring)],
    ['log in use once it has started over, at most', mib(figures.walInUseAfter)],
    ['restored', `transaction ${figures.txn}, byte by byte what level 0 makes`],
  ];
  return ['| figure | value |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

const { values } = parseArgs({
  options: { snapshot: { type: 'boolean' }, 'size-mib': { type: 'string', default: '1024' } },
});
const sizeMib = Number(values['size-mib']);
if (!(sizeMib > 0)) throw new Error(`--size-mib must be a number above 0, not ${values['size-mib']}`);
const figures = await snapshotBesideWriter(sizeMib);
console.log(tableOf(figures));
const broken = [
  ...(logGrewTooMuch(figures) ? ['the log grew by more than what was committed'] : []),
  ...(writerStoodStill(figures) ? ['the writer stood still'] : []),
];
for (const each of broken) console.log(`broken: ${each}`);
console.log(broken.length === 0 ? 'snapshot: every promise held' : 'snapshot: FAILED');
process.exitCode = broken.length === 0 ? 0 : 1;

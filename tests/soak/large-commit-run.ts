/** `npm run soak -- --large-commit [--size-mib 1536] [--disk-mib-per-second 40] [--pause-ms 2]` measures what writers wait for. */
import { parseArgs } from 'node:util';
import { largeCommit } from './large-commit.ts';
import type { LargeCommitFigures } from './large-commit.ts';

/** No writer may wait longer for a lock of ours. */
const WAIT_MS_MAX = 500;

function tableOf(figures: LargeCommitFigures): string {
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  const rows: readonly (readonly [string, string])[] = [
    ['from the commit until the log had started over', ms(figures.durationMs)],
    ['longest checkpoint', ms(figures.checkpointMs)],
    ['longest wait of another writer for the lock', ms(figures.waitMs)],
    ['its longest commit', ms(figures.commitMs)],
    ['its commits, all restored', String(figures.commits)],
    ['longest stall of the event loop', ms(figures.stallMs)],
  ];
  return ['| figure | value |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

const { values } = parseArgs({
  options: {
    'large-commit': { type: 'boolean' },
    'size-mib': { type: 'string', default: '1536' },
    'disk-mib-per-second': { type: 'string' },
    'pause-ms': { type: 'string', default: '2' },
  },
});
const number = (name: 'size-mib' | 'disk-mib-per-second' | 'pause-ms'): number | undefined => {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value >= 0)) throw new Error(`--${name} must be a number, not ${text}`);
  return value;
};
const figures = await largeCommit({
  sizeMib: number('size-mib') ?? 0,
  mibPerSecond: number('disk-mib-per-second'),
  pauseMs: number('pause-ms'),
});
if (figures === undefined) {
  console.log('large commit: SKIPPED, a slow disk takes root, losetup and the blkio controller of cgroups');
} else {
  console.log(tableOf(figures));
  const held = figures.waitMs < WAIT_MS_MAX;
  console.log(
    held ? 'large commit: every promise held' : `large commit: FAILED, a writer waited for ${WAIT_MS_MAX} ms`,
  );
  process.exitCode = held ? 0 : 1;
}

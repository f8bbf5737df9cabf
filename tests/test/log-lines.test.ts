/** What we log over whole lives beside what the Go program logged over the same; `npm run test:dropin` asks it anew. */
import { expect, onTestFinished, test } from 'vitest';
import { compare } from '../logs/compare.ts';
import { recordedShapes, shapesOfLives } from '../logs/recorded.ts';
import { tsProgram } from '../support/programs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const recorded = recordedShapes();

test.each(['text', 'json'] as const)(
  'the lines of whole lives, %s, are those of Go, or differ for a written reason',
  { timeout: 600_000 },
  async (format) => {
    expect(recorded[format].length).toBeGreaterThan(25);
    const folder = await temporaryFolder('log-lines');
    onTestFinished(() => folder[Symbol.asyncDispose]());
    const ours = await shapesOfLives(tsProgram({ LOG_LEVEL: 'debug' }), folder.path, format);
    expect(compare(format, recorded[format], ours).faults).toEqual([]);
  },
);

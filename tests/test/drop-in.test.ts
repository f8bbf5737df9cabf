/** Our answers beside those that the Go program gave to the same command lines; `npm run test:dropin` asks it anew. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { cases } from '../dropin/cases.ts';
import { recordedAnswers } from '../dropin/go.ts';
import { ourAnswer } from '../dropin/ours.ts';
import { makeTemplate } from '../dropin/place.ts';
import { explain } from '../dropin/reasons.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const recorded = recordedAnswers();

test('every command line has its answer by Go, and none is left over', () => {
  expect(cases.map(({ name }) => name).toSorted()).toEqual(Object.keys(recorded).toSorted());
});

const commands = new Set(cases.map(({ name }) => name.split(/[ ,]/)[0] ?? ''));

test.each([...commands])(
  '%s answers as Go does, or differs for a written reason',
  { timeout: 300_000 },
  async (command) => {
    const folder = await temporaryFolder('dropin');
    onTestFinished(() => folder[Symbol.asyncDispose]());
    const template = join(folder.path, 'template');
    await makeTemplate(template);
    for (const each of cases.filter(({ name }) => name.split(/[ ,]/)[0] === command)) {
      const go = recorded[each.name];
      if (go === undefined) throw new Error(`no answer by Go to ${each.name}`);
      const ts = await ourAnswer(template, join(folder.path, 'place'), each);
      const { open } = explain({ each, go: narrow(go), ts: narrow(ts) });
      const answers = JSON.stringify({ go, ts }, undefined, 2);
      expect(open, `${each.name}: litestream ${each.args.join(' ')}\n${answers}`).toEqual([]);
    }
  },
);

/** Tables are as wide as the paths in them, which are another machine's in the recorded answers. */
function narrow<T extends { readonly stdout: string }>(answer: T): T {
  return { ...answer, stdout: answer.stdout.replaceAll(/(?<=\S) {2,}/g, '  ') };
}

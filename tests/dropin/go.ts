/** The Go program's answers: asked once, then kept beside the cases for machines without it. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goEnvironment, goLitestream, goVersion } from '../support/go-litestream.ts';
import { repositoryRoot } from '../support/repository.ts';
import type { Answer, DropInCase } from './case.ts';
import { isHelp, normalised } from './case.ts';
import { changesOf, makePlace } from './place.ts';

const answersPath = join(repositoryRoot, 'tests', 'fixtures', `drop-in-go-${goVersion}.json`);

/** No case of ours runs on by itself: one that does is a mistake in the list of cases. */
const TIME_LIMIT_MS = 20_000;

let program: Promise<string> | undefined;

export function recordedAnswers(): Readonly<Record<string, Answer>> {
  if (!existsSync(answersPath)) return {};
  return JSON.parse(readFileSync(answersPath, 'utf8')) as Record<string, Answer>;
}

export function record(answers: Readonly<Record<string, Answer>>): void {
  const sorted = Object.fromEntries(Object.entries(answers).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(answersPath, `${JSON.stringify(sorted, undefined, 1)}\n`);
}

export async function goAnswer(template: string, root: string, each: DropInCase): Promise<Answer> {
  const files = each.files ?? {};
  makePlace(template, root, files);
  const { PATH, HOME } = goEnvironment();
  program ??= goLitestream();
  const child = spawn(
    await program,
    each.args.map((arg) => arg.replaceAll('$ROOT', root)),
    {
      cwd: root,
      env: { PATH, HOME, LITESTREAM_CONFIG: '/nowhere/litestream.yml', ...each.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIME_LIMIT_MS,
      killSignal: 'SIGKILL',
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  if (code === null) throw new Error(`Go did not end within ${TIME_LIMIT_MS} ms: ${each.name}`);
  return normalised({ code, stdout, stderr, changes: changesOf(template, root, files) }, root, isHelp(each));
}

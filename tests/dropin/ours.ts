/** Our command run within this process, as a process of its own would be: hundreds of them in seconds. */
import { run } from '@litestream/cli';
import type { Answer, DropInCase } from './case.ts';
import { isHelp, normalised } from './case.ts';
import { changesOf, makePlace } from './place.ts';

/** Not for two cases at once: it changes the working directory and the environment of the process. */
export async function ourAnswer(template: string, root: string, each: DropInCase): Promise<Answer> {
  const files = each.files ?? {};
  makePlace(template, root, files);
  let stdout = '';
  let stderr = '';
  const before = { env: { ...process.env }, folder: process.cwd(), exitCode: process.exitCode };
  let code: number | null = null;
  try {
    process.chdir(root);
    delete process.env['LOG_LEVEL'];
    Object.assign(process.env, { LITESTREAM_CONFIG: '/nowhere/litestream.yml' }, each.env);
    await run(
      each.args.map((arg) => arg.replaceAll('$ROOT', root)),
      {
        out: (text) => (stdout += text),
        err: (line) => (stderr += `${line}\n`),
        status: () => undefined,
        logLine: (toStderr) => (line) => {
          if (toStderr) stderr += `${line}\n`;
          else stdout += `${line}\n`;
        },
        stdoutIsTty: false,
        stderrIsTty: false,
        columns: 80,
      },
    );
    code = Number(process.exitCode ?? 0);
  } finally {
    process.chdir(before.folder);
    process.env = before.env;
    process.exitCode = before.exitCode;
  }
  return normalised({ code, stdout, stderr, changes: changesOf(template, root, files) }, root, isHelp(each));
}

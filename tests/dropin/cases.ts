/** Every command with every flag of 0.5.18, missing and bad values, in forms that end by themselves. */
import type { DropInCase } from './case.ts';
import { configCases } from './configs.ts';

/** Flags of 0.5.18 by command, with a value each takes and one it refuses; switches have none. */
export const FLAGS: Readonly<Record<string, Readonly<Record<string, readonly [good: string, bad?: string] | null>>>> = {
  databases: { config: ['litestream.yml', 'missing.yml'], json: null, 'no-expand-env': null },
  info: { socket: ['none.sock'], timeout: ['1', 'x'], json: null },
  list: { socket: ['none.sock'], timeout: ['1', 'x'], json: null },
  ltx: {
    config: ['litestream.yml', 'missing.yml'],
    'no-expand-env': null,
    level: ['all', '10'],
    json: null,
  },
  register: { replica: ['file:///tmp/r'], timeout: ['1', 'x'], socket: ['none.sock'], json: null },
  replicate: {
    config: ['missing.yml'],
    exec: ['true'],
    once: null,
    'force-snapshot': null,
    'enforce-retention': null,
    'log-level': ['error', 'loud'],
    'no-expand-env': null,
    'restore-if-db-not-exists': null,
  },
  reset: { config: ['litestream.yml', 'missing.yml'], 'no-expand-env': null, 'dry-run': null },
  restore: {
    config: ['litestream.yml', 'missing.yml'],
    'no-expand-env': null,
    txid: ['0000000000000003', '3'],
    timestamp: ['2040-01-01T00:00:00Z', 'yesterday'],
    o: ['out.db'],
    'if-db-not-exists': null,
    'if-replica-exists': null,
    'dry-run': null,
    force: null,
    json: null,
    f: null,
    'follow-interval': ['1s', 'x'],
    parallelism: ['2', 'x'],
    'integrity-check': ['full', 'some'],
  },
  start: { timeout: ['1', 'x'], socket: ['none.sock'], json: null },
  status: { config: ['litestream.yml', 'missing.yml'], json: null, 'no-expand-env': null },
  stop: { timeout: ['1', 'x'], socket: ['none.sock'], json: null },
  sync: { wait: null, timeout: ['1', 'x'], socket: ['none.sock'], json: null },
  unregister: { timeout: ['1', 'x'], socket: ['none.sock'], 'dry-run': null, json: null },
  version: { verbose: null },
  wal: { config: ['litestream.yml', 'missing.yml'], 'no-expand-env': null, level: ['0', 'x'], json: null },
};

const URL = 'file://$ROOT/replica';

/** What a command needs besides its flags to do something that ends, if there is such a thing. */
const RUNS: Readonly<Record<string, (flags: readonly string[]) => readonly string[]>> = {
  databases: (flags) => withDefault(flags, 'config', 'litestream.yml'),
  info: (flags) => withDefault(flags, 'socket', 'none.sock'),
  list: (flags) => withDefault(flags, 'socket', 'none.sock'),
  ltx: (flags) => [...withDefault(flags, 'config', 'litestream.yml'), '$ROOT/app.db'],
  register: (flags) => [
    ...withDefault(withDefault(flags, 'socket', 'none.sock'), 'replica', 'file:///tmp/r'),
    '$ROOT/app.db',
  ],
  replicate: (flags) => withDefault(flags, 'config', 'missing.yml'),
  reset: (flags) => [...flags, '$ROOT/app.db'],
  restore: (flags) => [...withDefault(withDefault(flags, 'config', 'litestream.yml'), 'o', 'out.db'), '$ROOT/app.db'],
  start: (flags) => [...withDefault(flags, 'socket', 'none.sock'), '$ROOT/app.db'],
  status: (flags) => withDefault(flags, 'config', 'litestream.yml'),
  stop: (flags) => [...withDefault(flags, 'socket', 'none.sock'), '$ROOT/app.db'],
  sync: (flags) => [...withDefault(flags, 'socket', 'none.sock'), '$ROOT/app.db'],
  unregister: (flags) => [...withDefault(flags, 'socket', 'none.sock'), '$ROOT/app.db'],
  version: (flags) => flags,
  wal: (flags) => [...withDefault(flags, 'config', 'litestream.yml'), '$ROOT/app.db'],
};

function withDefault(flags: readonly string[], name: string, value: string): readonly string[] {
  return flags.includes(`-${name}`) ? flags : [...flags, `-${name}`, value];
}

function* flagCases(): Generator<DropInCase> {
  for (const [command, flags] of Object.entries(FLAGS)) {
    const run = RUNS[command] ?? ((given) => given);
    for (const help of ['-h', '-help', '--help']) yield { name: `${command} ${help}`, args: [command, help] };
    yield { name: `${command} (nothing)`, args: [command] };
    yield { name: `${command} (one too many)`, args: [command, 'a.db', 'b.db', 'c.db'] };
    yield { name: `${command} (unknown flag)`, args: [command, '-unknown'] };
    for (const [flag, values] of Object.entries(flags)) {
      const dashed = `-${flag}`;
      const follows = command === 'restore' && flag === 'f';
      if (!follows)
        yield {
          name: `${command} ${dashed}`,
          args: [command, ...run([dashed, ...(values === null ? [] : [values[0]])])],
        };
      if (values === null) {
        yield { name: `${command} ${dashed}=maybe`, args: [command, ...run([`${dashed}=maybe`])] };
        if (!follows) yield { name: `${command} -${dashed}=false`, args: [command, ...run([`-${dashed}=false`])] };
        continue;
      }
      const [good, bad] = values;
      if (!['config', 'socket', 'o', 'replica'].includes(flag)) {
        yield { name: `${command} -${dashed}=`, args: [command, ...run([`-${dashed}=${good}`])] };
      }
      yield { name: `${command} ${dashed} (no value)`, args: [command, dashed] };
      if (bad !== undefined) yield { name: `${command} ${dashed} ${bad}`, args: [command, ...run([dashed, bad])] };
    }
  }
}

const one = (name: string, args: string, more: Omit<DropInCase, 'name' | 'args'> = {}): DropInCase => {
  return { name, args: args === '' ? [] : args.split(' '), ...more };
};

const C = '-config litestream.yml';
const OLD = 'file://$ROOT/old';
const restoreTo = (rest: string): string => `restore -o out.db ${rest} ${URL}`;

const handWritten: readonly DropInCase[] = [
  one('(nothing)', ''),
  one('help', 'help'),
  one('-h', '-h'),
  one('--help', '--help'),
  one('-config first', '-config litestream.yml databases'),
  one('unknown command', 'replicat'),
  one('LITESTREAM_CONFIG', 'databases -json', { env: { LITESTREAM_CONFIG: 'litestream.yml' } }),
  one('databases, no dbs', 'databases -config none.yml', { files: { 'none.yml': '{}\n' } }),
  one('databases -json, no dbs', 'databases -json -config none.yml', { files: { 'none.yml': '{}\n' } }),
  one('databases, empty file', 'databases -config none.yml', { files: { 'none.yml': '' } }),
  one('databases -json, letters JSON escapes', 'databases -json -config c.yml', {
    files: { 'c.yml': 'dbs:\n  - path: "$ROOT/a<b>&c\u2028é.db"\n    replica: {path: "$ROOT/r"}\n' },
  }),
  one('status, no dbs', 'status -config none.yml', { files: { 'none.yml': '{}\n' } }),
  one('status -json, no dbs', 'status -json -config none.yml', { files: { 'none.yml': '{}\n' } }),
  one('status, one', `status ${C} $ROOT/app.db`),
  one('status -json, one', `status -json ${C} $ROOT/app.db`),
  one('status, unknown database', `status ${C} $ROOT/other.db`),
  one('ltx URL', `ltx ${URL}`),
  one('ltx -json URL', `ltx -json ${URL}`),
  ...['0', '1', '2', '3', '9', 'all', '-1', '10', '', 'one', '+1', '007'].map((level) => {
    return { name: `ltx -level ${level} URL`, args: ['ltx', '-level', level, URL] };
  }),
  one('ltx -json -level all', `ltx -json -level all ${URL}`),
  one('ltx -json, nothing there', 'ltx -json file://$ROOT/empty'),
  one('ltx, nothing there', 'ltx file://$ROOT/empty'),
  one('ltx, no such folder', 'ltx -json file://$ROOT/nowhere'),
  one('ltx -config with URL', `ltx ${C} ${URL}`),
  one('ltx, unknown database', `ltx ${C} $ROOT/other.db`),
  one('ltx, unknown scheme', 'ltx gopher://x/y'),
  one('ltx, flag after the argument', `ltx ${URL} -json`),
  { name: 'ltx, empty argument', args: ['ltx', ''] },
  one('wal -json URL', `wal -json ${URL}`),
  one('reset', 'reset $ROOT/app.db'),
  one('reset -dry-run, as it is', 'reset -dry-run $ROOT/app.db'),
  one('reset, nothing to reset', 'reset $ROOT/fresh.db'),
  one('reset -dry-run, nothing to reset', 'reset -dry-run $ROOT/fresh.db'),
  one('reset, no database', 'reset $ROOT/missing.db'),
  one('reset -config, as it is', `reset ${C} $ROOT/app.db`),
  one('reset, relative path', 'reset app.db'),
  one('reset, two', 'reset a.db b.db'),
  one('restore URL without -o', `restore ${URL}`),
  one('restore, bare', restoreTo('')),
  one('restore -json, as it is', restoreTo('-json')),
  one('restore -txid, as it is', restoreTo('-txid 0000000000000007')),
  one('restore -txid -json', restoreTo('-json -txid 0000000000000007')),
  one('restore -txid 0', restoreTo('-txid 0000000000000000')),
  one('restore -txid, upper case', restoreTo('-txid 000000000000000B')),
  one('restore -txid, beyond', restoreTo('-txid 00000000000000ff')),
  one('restore -txid, short', restoreTo('-txid 7')),
  one('restore -timestamp, before all', restoreTo('-timestamp 2000-01-01T00:00:00Z')),
  one('restore -timestamp, after all', restoreTo('-timestamp 2040-01-01T00:00:00Z')),
  one('restore -timestamp, with a zone', restoreTo('-timestamp 2040-01-01T00:00:00+02:00')),
  one('restore -timestamp, a day', restoreTo('-timestamp 2040-01-01')),
  one('restore -timestamp, 30 February', restoreTo('-timestamp 2040-02-30T00:00:00Z')),
  one('restore -timestamp, 24:00', restoreTo('-timestamp 2040-01-01T24:00:00Z')),
  one('restore -timestamp and -txid', restoreTo('-timestamp 2040-01-01T00:00:00Z -txid 0000000000000007')),
  one('restore -dry-run, as it is', restoreTo('-dry-run')),
  one('restore -dry-run -json', restoreTo('-dry-run -json')),
  one('restore -dry-run -txid', restoreTo('-dry-run -txid 0000000000000007')),
  one('restore -dry-run, nothing there', 'restore -dry-run -o out.db file://$ROOT/empty'),
  one(
    'restore -dry-run -if-replica-exists, nothing there',
    'restore -dry-run -if-replica-exists -o out.db file://$ROOT/empty',
  ),
  one('restore -dry-run, output exists', `restore -dry-run -o app.db ${URL}`),
  one('restore -dry-run -f', restoreTo('-dry-run -f')),
  one('restore -f -txid', restoreTo('-f -txid 0000000000000007')),
  one('restore -f -timestamp', restoreTo('-f -timestamp 2040-01-01T00:00:00Z')),
  one('restore -follow-interval 0s', restoreTo('-follow-interval 0s')),
  one('restore -parallelism 0', restoreTo('-parallelism 0')),
  one('restore -parallelism -1', restoreTo('-parallelism -1')),
  one('restore -parallelism -json', restoreTo('-json -parallelism 2')),
  one('restore -parallelism -dry-run', restoreTo('-dry-run -parallelism 2')),
  one('restore -parallelism, no argument', 'restore -parallelism 2'),
  one('restore -integrity-check quick', restoreTo('-integrity-check quick')),
  one('restore -integrity-check full -json', restoreTo('-json -integrity-check full')),
  one('restore, output exists', `restore -o app.db ${URL}`),
  one('restore -force, output exists', `restore -force -o app.db ${URL}`),
  one('restore -force -json, output exists', `restore -force -json -o app.db ${URL}`),
  one('restore, output is empty', `restore -o zero.db ${URL}`),
  one('restore, output is a folder', `restore -o folder.db ${URL}`),
  one('restore -force, output is a folder', `restore -force -o folder.db ${URL}`),
  one('restore, a side file is there', `restore -o side.db ${URL}`),
  one('restore -force, a side file is there', `restore -force -o side.db ${URL}`),
  one('restore, output is a link', `restore -o link.db ${URL}`),
  one('restore -force, output is a link', `restore -force -o link.db ${URL}`),
  one('restore, output is a link to nothing', `restore -o loose.db ${URL}`),
  one('restore -force, output is for nobody', `restore -force -o secret.db ${URL}`),
  one('restore, into a new folder', `restore -o new/deep/out.db ${URL}`),
  one('restore -if-db-not-exists, exists', `restore -if-db-not-exists -o app.db ${URL}`),
  one('restore -if-db-not-exists -json, exists', `restore -if-db-not-exists -json -o app.db ${URL}`),
  one('restore -if-db-not-exists, does not', restoreTo('-if-db-not-exists')),
  one('restore, nothing there', 'restore -o out.db file://$ROOT/empty'),
  one('restore -json, nothing there', 'restore -json -o out.db file://$ROOT/empty'),
  one('restore -if-replica-exists, nothing there', 'restore -if-replica-exists -o out.db file://$ROOT/empty'),
  one(
    'restore -if-replica-exists -json, nothing there',
    'restore -if-replica-exists -json -o out.db file://$ROOT/empty',
  ),
  one('restore -if-replica-exists -txid, beyond', restoreTo('-if-replica-exists -txid 00000000000000ff')),
  one('restore, no such folder', 'restore -o out.db file://$ROOT/nowhere'),
  one('restore -if-replica-exists, no such folder', 'restore -if-replica-exists -o out.db file://$ROOT/nowhere'),
  one('restore -config with URL', `restore ${C} -o out.db ${URL}`),
  one('restore, which database?', `restore ${C}`),
  one('restore of v0.3', `restore -o out.db ${OLD}`),
  one('restore of v0.3, -json', `restore -json -o out.db ${OLD}`),
  one('restore of v0.3, -json -integrity-check full', `restore -json -integrity-check full -o out.db ${OLD}`),
  one('restore of v0.3, -parallelism 2', `restore -parallelism 2 -o out.db ${OLD}`),
  one('restore of v0.3, -dry-run', `restore -dry-run -o out.db ${OLD}`),
  one('restore of v0.3, -dry-run -json', `restore -dry-run -json -o out.db ${OLD}`),
  one('restore of v0.3, -dry-run -if-replica-exists', `restore -dry-run -if-replica-exists -o out.db ${OLD}`),
  one('restore of v0.3, -if-replica-exists', `restore -if-replica-exists -o out.db ${OLD}`),
  one('restore of v0.3, -if-db-not-exists, exists', `restore -if-db-not-exists -o app.db ${OLD}`),
  one('restore of v0.3, output exists', `restore -o app.db ${OLD}`),
  one('restore of v0.3, -force, output exists', `restore -force -o app.db ${OLD}`),
  one('restore of v0.3, -txid', `restore -txid 0000000000000001 -o out.db ${OLD}`),
  one('restore of v0.3, -timestamp, before all', `restore -timestamp 2000-01-01T00:00:00Z -o out.db ${OLD}`),
  one('restore of v0.3, -timestamp, yet to come', `restore -timestamp 2040-01-01T00:00:00Z -o out.db ${OLD}`),
  one('restore of v0.3, -f', `restore -f -o out.db ${OLD}`),
  one('restore, unknown database', `restore ${C} $ROOT/other.db`),
  one('restore, of the config, exists', `restore ${C} $ROOT/app.db`),
  one('restore -if-db-not-exists, of the config, exists', `restore -if-db-not-exists ${C} $ROOT/app.db`),
  one('restore -force, of the config', `restore -force ${C} $ROOT/app.db`),
  one('restore, of the config, nothing there', `restore ${C} $ROOT/missing.db`),
  one('restore, flag after the argument', `restore -o out.db ${URL} -json`),
  one('restore, unknown scheme', 'restore -o out.db gopher://x/y'),
  one('replicate, URL missing', 'replicate app.db'),
  one('replicate, flag after the arguments', `replicate app.db ${URL} -once`),
  one('replicate -config with URL', `replicate ${C} app.db ${URL}`),
  one('replicate, no scheme', 'replicate -once app.db /tmp/r'),
  one('replicate -once -exec', `replicate -once -exec true app.db ${URL}`),
  one('replicate -force-snapshot alone', `replicate -force-snapshot app.db ${URL}`),
  one('replicate -enforce-retention alone', `replicate -enforce-retention app.db ${URL}`),
  one('replicate -once, no dbs', 'replicate -once -config none.yml', { files: { 'none.yml': '{}\n' } }),
  ...['info', 'list', 'start', 'stop', 'sync', 'register -replica file:///tmp/r', 'unregister'].flatMap((command) => {
    const argument = /info|list/.test(command) ? '' : ' $ROOT/app.db';
    const name = command.split(' ')[0] ?? '';
    return [
      one(`${name}, no daemon`, `${command} -socket none.sock${argument}`),
      one(`${name} -timeout 0`, `${command} -socket none.sock -timeout 0${argument}`),
      one(`${name} -timeout -1`, `${command} -socket none.sock -timeout -1${argument}`),
    ];
  }),
];

export const cases: readonly DropInCase[] = [...flagCases(), ...handWritten, ...configCases];

const names = new Set(cases.map(({ name }) => name));
if (names.size !== cases.length) throw new Error('two cases have one name');

/** Why an answer of ours may differ from Go's. A difference that no reason explains is a fault. */
import { FLAG_ERROR, differences } from './case.ts';
import type { Answer, DropInCase, Part } from './case.ts';

export interface Reason {
  readonly id: string;
  /** For the table in docs/reports/drop-in.md. */
  readonly why: string;
  /** Whether it explains this difference in these parts, all of which it then may explain. */
  readonly explains: (difference: Difference) => readonly Part[];
}

export interface Difference {
  readonly each: DropInCase;
  readonly go: Answer;
  readonly ts: Answer;
}

const named = (id: string, pattern: RegExp, parts: readonly Part[], why: string): Reason => {
  return { id, why, explains: ({ each }) => (pattern.test(each.name) ? parts : []) };
};

/** What Go says last on standard error, without what every answer of ours leaves out. */
function complaintOf(answer: Answer): string {
  const [first = '', ...rest] = answer.stderr
    .replace(/^Warning: .*\n/, '')
    .trimEnd()
    .split('\n');
  return (rest[0] === `Error: ${first}` ? rest[0] : first).replace(/(Get|Post) "http:\/\/localhost\/\w+": /, '');
}

const absolute = (text: string): string => text.replaceAll('$ROOT/', '');

export const REASONS: readonly Reason[] = [
  {
    id: 'advice',
    why: 'Ours repeats Go’s message and adds the cause, what to do, or a `Try:` line. Paths are absolute. Errors in a config begin with file, line and column.',
    explains: ({ go, ts }) => {
      const complaint = absolute(complaintOf(go));
      const ours = absolute(ts.stderr)
        .replace(/^Warning: .*\n/, '')
        .replace(
          /^Error: c\.yml:\d+:\d+: (?:database config #1: (?=must specify replica|cannot specify 'replica'))?/,
          'Error: ',
        );
      const next = ours.slice(complaint.length);
      return complaint.startsWith('Error: ') && ours.startsWith(complaint) && /^[.:,\n ]/.test(next) ? ['stderr'] : [];
    },
  },
  {
    id: 'usage page',
    why: 'For a wrong flag Go prints its message twice, and the whole help on standard output. Ours prints the message once, and nothing on standard output, where scripts read results.',
    explains: ({ go, ts }) => {
      return FLAG_ERROR.test(go.stderr) && ts.stdout === '' && ts.code === 1 ? ['stdout'] : [];
    },
  },
  {
    id: 'more flags',
    why: 'Ours has more flags: `-plugin`, `-lease` of `replicate`, `-proof` of `restore`, and `-max-lag` and `-socket` of `status`.',
    explains: ({ go, ts }) => {
      const [theirs, ours] = [go.stdout.split('\n'), ts.stdout.split('\n')];
      const isHelp = theirs.includes('usage') && !go.stdout.includes(' ') && go.code === ts.code;
      return isHelp && theirs.every((line) => ours.includes(line)) ? ['stdout'] : [];
    },
  },
  named(
    'version',
    /^version/,
    ['stdout'],
    'Ours prints the version of this package. `-verbose` prints the versions of Node and SQLite where Go prints those of its compiler and commit.',
  ),
  named(
    'regular files only',
    /^restore( -force)?, output is a link/,
    ['code', 'stderr', 'stdout', 'changes'],
    'A restore of ours replaces regular files only: it refuses a link, a device or a pipe, also with `-force`. Go puts a file in its place.',
  ),
  named(
    'several replicas',
    /^replicate \(one too many\)|^config the older list of two replicas/,
    ['code', 'stderr', 'stdout'],
    'Ours supports several replicas of a database. Go refuses them.',
  ),
  named(
    'checked first',
    /^replicate (\(one too many\)|-force-snapshot$|-enforce-retention$|-log-level loud|, no scheme)|^replicate, no scheme|^restore -(timestamp and -txid|f -timestamp)/,
    ['stdout', 'stderr'],
    'Both refuse. Ours checks the whole command line before it reads the config, opens the replica or logs. If a command line has two mistakes, the two programs may name different ones.',
  ),
  named(
    'own words',
    /^restore -(timestamp yesterday|timestamp, (a day|30 February|24:00)|integrity-check some)|unknown scheme$/,
    ['stderr'],
    'Both refuse. Ours lists the valid values, or names the package to install for this kind of replica.',
  ),
  named(
    'not readable as YAML or as a value',
    /^config .*(dbs: \[$|\\tdbs|dbs: 5|\[1\]|maybe|many|64MB|: 1x|5XB|\[\{\}\]|: rw|age1x|floppy)/,
    ['stderr'],
    'Both refuse. Go prints the message of its YAML parser. Ours prints file, line, column and key, and what is valid there.',
  ),
  {
    id: 'warnings',
    why: 'Go ignores unknown and old keys and unset variables without a message. Ours warns on standard error and suggests the right key.',
    explains: ({ go, ts }) => {
      const rest = ts.stderr.replaceAll(/^Warning: \$ROOT\/c\.yml:\d+(?::\d+)?: .*\n/gm, '');
      return rest === go.stderr ? ['stderr'] : [];
    },
  },
  named(
    'databases of a folder',
    /^config dir, /,
    ['stdout'],
    'For a `dir` Go lists the folder itself. Ours lists the databases in it.',
  ),
  named(
    'address without a port',
    /^config addr: localhost/,
    ['code', 'stdout', 'stderr'],
    'Go reports it when `replicate` opens the address, ours when any command reads the config.',
  ),
  named(
    'part size',
    /part-size: 5MB/,
    ['code', 'stdout', 'stderr'],
    '5MB is less than the minimum of 5 MiB. Go refuses each upload, ours refuses the config.',
  ),
  named(
    'flag after the argument',
    /flag after the argument/,
    ['stderr'],
    'Both refuse. Go counts the flag as one argument too many. Ours names the flag and its right place.',
  ),
  named(
    'flag before the command',
    /^-config first/,
    ['stdout', 'stderr'],
    'Both refuse. Go prints the overview on standard output. Ours says that the flag belongs after the command.',
  ),
  named(
    'too many arguments',
    /^status \(one too many\)/,
    ['stderr'],
    'Go’s `status` ignores every argument after the first. Ours refuses them.',
  ),
  named(
    'status of an unknown database',
    /^status, unknown database/,
    ['code', 'stdout', 'stderr'],
    'Go prints an empty table and exits with 0. Ours fails, so that a monitoring script with a wrong path does not report a healthy database.',
  ),
  named(
    'time in the future',
    /^restore --?timestamp=?$/,
    ['code', 'stderr', 'changes'],
    'For a timestamp in the future Go restores the newest state of a database of the config, but refuses a replica URL. Ours refuses both, because later commits before that time would be missing.',
  ),
  named(
    'plan of an empty replica',
    /^restore -dry-run -if-replica-exists, nothing there/,
    ['code', 'stdout', 'stderr'],
    'With `-if-replica-exists` a restore from an empty replica exits with 0. In ours `-dry-run` does the same; Go’s `-dry-run` fails.',
  ),
  named(
    'a replica with backups',
    /^restore -if-replica-exists -txid, beyond/,
    ['code', 'stdout', 'stderr'],
    '`-if-replica-exists` exits with 0 if the replica has no backups. Go does so, too, if the backups end before the requested TXID. Ours reports that as an error.',
  ),
  {
    id: 'mode of a restored database',
    why: 'Go creates a file that every user can read (0644). Ours creates one for its owner only (0600), or keeps the mode of the file that it replaces.',
    explains: ({ go, ts }) => {
      const alike = go.changes.map((change) => change.replace(' 644 ', ' 600 '));
      return alike.join('\n') === ts.changes.join('\n') ? ['changes'] : [];
    },
  },
  {
    id: 'proof of a restore',
    why: 'The summary of ours has three more fields: `proven` (whether the database has the checksum that its last file states), and the `timestamp` and `size` of the state.',
    explains: ({ go, ts }) => {
      const alike = ts.stdout
        .replace(/,\n {2}"proven": (true|false)\n/, '\n')
        .replace(/ {2}"timestamp": "[^"]*",\n {2}"size": [^,]*,\n/, '');
      return alike === go.stdout ? ['stdout'] : [];
    },
  },
  {
    id: 'report of a restore',
    why: 'Without a terminal, ours logs which time it understood, and which state it restored. Go logs nothing.',
    explains: ({ go, ts }) => {
      const report = /^time=\S+ level=INFO msg=(restored|"restoring to a point in time") .*\n/gm;
      return ts.stdout.replace(report, '') === go.stdout ? ['stdout'] : [];
    },
  },
  named(
    'the lock of a reset',
    /^reset/,
    ['changes'],
    'During a reset ours holds the lock of the metadata folder, so that no other Litestream starts on it. The empty lock file remains.',
  ),
  named(
    'side files',
    /a side file is there/,
    ['code', 'stderr', 'changes'],
    'SQLite would apply a stale `-wal`, `-shm` or `-journal` to the restored database. Go checks for them only if the output exists. Ours always refuses them, and removes them with `-force`.',
  ),
  named(
    'follow interval of zero',
    /^restore -follow-interval 0s/,
    ['code', 'stderr', 'changes'],
    'Go ignores `-follow-interval` without `-f`. Ours always refuses an interval of zero.',
  ),
  named(
    'negative timeout',
    /-timeout -1/,
    ['stderr'],
    'Both refuse. Go reports an expired timeout, ours that no daemon listens on the socket.',
  ),
];

/** The reasons for a difference, and the parts that none of them explains. */
export function explain(difference: Difference): { reasons: Reason[]; open: Part[] } {
  let open = differences(difference.go, difference.ts);
  const reasons: Reason[] = [];
  for (const reason of REASONS) {
    const parts = reason.explains(difference);
    if (!open.some((part) => parts.includes(part))) continue;
    reasons.push(reason);
    open = open.filter((part) => !parts.includes(part));
  }
  return { reasons, open };
}

/** Why an answer of ours may differ from Go's. A difference that no reason explains is a fault. */
import { FLAG_ERROR, differences } from './case.ts';
import type { Answer, DropInCase, Part } from './case.ts';

export interface Reason {
  readonly id: string;
  /** For the table in docs/drop-in.md. */
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
    why: 'After the words of Go’s message ours goes on: with the cause, with what to do, with a `Try:` line. Paths in it are absolute. What is wrong in a config begins with file, line and column.',
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
    why: 'Go answers a wrong flag with its message twice and the whole help on standard output. Ours says it once, and nothing where a script reads results.',
    explains: ({ go, ts }) => {
      return FLAG_ERROR.test(go.stderr) && ts.stdout === '' && ts.code === 1 ? ['stdout'] : [];
    },
  },
  {
    id: 'more flags',
    why: 'Ours has flags that Go has not: `-plugin`, and `-max-lag` and `-socket` of `status`.',
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
    'The version is that of this package, and `-verbose` tells of Node and SQLite where Go tells of Go and its commit.',
  ),
  named(
    'regular files only',
    /^restore( -force)?, output is a link/,
    ['code', 'stderr', 'stdout', 'changes'],
    'A restore of ours replaces regular files only: a link, a device or a pipe is refused, also with `-force`. Go puts a file in its place.',
  ),
  named(
    'several replicas',
    /^replicate \(one too many\)|^config the older list of two replicas/,
    ['code', 'stderr', 'stdout'],
    'Several replicas of a database work here; Go refuses them.',
  ),
  named(
    'checked first',
    /^replicate (\(one too many\)|-force-snapshot$|-enforce-retention$|-log-level loud|, no scheme)|^replicate, no scheme|^restore -(timestamp and -txid|f -timestamp)/,
    ['stdout', 'stderr'],
    'Both refuse. Ours checks the command line before it reads the config, opens the replica or logs its first line, so another mistake of the same command line may be the one named.',
  ),
  named(
    'own words',
    /^restore -(timestamp yesterday|timestamp, (a day|30 February|24:00)|integrity-check some)|unknown scheme$/,
    ['stderr'],
    'Both refuse; ours says which values there are, or which package to install for the kind of replica.',
  ),
  named(
    'not readable as YAML or as a value',
    /^config .*(dbs: \[$|\\tdbs|dbs: 5|\[1\]|maybe|many|64MB|: 1x|5XB|\[\{\}\]|: rw|age1x|floppy)/,
    ['stderr'],
    'Both refuse. Go tells what its YAML parser says; ours names file, line, column and key, and what can stand there.',
  ),
  {
    id: 'warnings',
    why: 'Go says nothing of keys that it does not know or read any more, or of variables that are not set. Ours warns of them on standard error, and names the key that was meant.',
    explains: ({ go, ts }) => {
      const rest = ts.stderr.replaceAll(/^Warning: \$ROOT\/c\.yml:\d+(?::\d+)?: .*\n/gm, '');
      return rest === go.stderr ? ['stderr'] : [];
    },
  },
  named(
    'databases of a folder',
    /^config dir, /,
    ['stdout'],
    'For a `dir` Go lists the folder as if it were a database; ours lists the databases in it.',
  ),
  named(
    'address without a port',
    /^config addr: localhost/,
    ['code', 'stdout', 'stderr'],
    'Go finds out when `replicate` opens the address; ours when any command reads the config.',
  ),
  named(
    'part size',
    /part-size: 5MB/,
    ['code', 'stdout', 'stderr'],
    'Parts below 5 MiB, which 5MB are: Go refuses each single upload, ours refuses the config.',
  ),
  named(
    'flag after the argument',
    /flag after the argument/,
    ['stderr'],
    'Both refuse; Go counts the flag as an argument too many, ours names it and where it belongs.',
  ),
  named(
    'flag before the command',
    /^-config first/,
    ['stdout', 'stderr'],
    'Both refuse; Go prints the overview on standard output, ours says that the flag belongs after the command.',
  ),
  named(
    'too many arguments',
    /^status \(one too many\)/,
    ['stderr'],
    'Go’s `status` ignores all arguments but the first; ours refuses them.',
  ),
  named(
    'status of an unknown database',
    /^status, unknown database/,
    ['code', 'stdout', 'stderr'],
    'Go prints an empty table and succeeds. Ours fails: a monitoring script with a path that the config has not must not take that for a database that is well.',
  ),
  named(
    'time in the future',
    /^restore --?timestamp=?$/,
    ['code', 'stderr', 'changes'],
    'For a database of the config Go restores the newest state where the time asked for is yet to come, and refuses it for a URL. Ours refuses both: nobody knows that state yet.',
  ),
  named(
    'plan of nothing',
    /^restore -dry-run -if-replica-exists, nothing there/,
    ['code', 'stdout', 'stderr'],
    '`-dry-run` answers as the restore itself would, which `-if-replica-exists` lets succeed; Go’s fails.',
  ),
  named(
    'a replica with backups',
    /^restore -if-replica-exists -txid, beyond/,
    ['code', 'stdout', 'stderr'],
    '`-if-replica-exists` forgives a replica without backups. Go also forgives one whose backups do not reach the TXID asked for; ours takes that for a mistake.',
  ),
  {
    id: 'mode of a restored database',
    why: 'Go makes it readable for every user of the machine. Ours is for its owner alone (0600), or has the mode of the file at its path.',
    explains: ({ go, ts }) => {
      const alike = go.changes.map((change) => change.replace(' 644 ', ' 600 '));
      return alike.join('\n') === ts.changes.join('\n') ? ['changes'] : [];
    },
  },
  named(
    'the lock of a reset',
    /^reset/,
    ['changes'],
    'While ours resets, it holds the lock of the metadata folder, so that a Litestream that starts meanwhile stands by. The empty lock file stays.',
  ),
  named(
    'side files',
    /a side file is there/,
    ['code', 'stderr', 'changes'],
    'Go looks for a left-over `-wal`, `-shm` or `-journal` only where the output itself exists. SQLite would apply it to the restored database, so ours refuses it, or with `-force` removes it, in either case.',
  ),
  named(
    'follow interval of nothing',
    /^restore -follow-interval 0s/,
    ['code', 'stderr', 'changes'],
    'Go ignores `-follow-interval` without `-f`. Ours refuses an interval of nothing wherever it stands.',
  ),
  named(
    'time-out below zero',
    /-timeout -1/,
    ['stderr'],
    'Both refuse; Go waits for nothing, ours tells that nobody listens.',
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

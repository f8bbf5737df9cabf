/** The control socket: both daemons answer the same requests, and each program's commands drive the other's daemon. */
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ChainWriter } from '../support/chain-writer.ts';
import type { Child } from '../support/child.ts';
import type { Program } from '../support/programs.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/wait.ts';
import type { InteropCase, InteropContext } from './case.ts';

interface Daemon {
  readonly child: Child;
  readonly folder: string;
  readonly socket: string;
}

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

const AFTER_REGISTERING = 'POST /sync {"path":"DIR/b.db","wait":true}';

/** `POST /start {…}`, with `DIR` for the folder of the daemon. */
const REQUESTS: readonly string[] = [
  'GET /info',
  'HEAD /list',
  'GET /list',
  'GET /txid',
  'GET /txid?path=DIR/a.db',
  'GET /txid?path=DIR/none.db',
  'GET /debug/sync-status?path=DIR/none.db',
  'GET /nothing',
  'GET /list/',
  'GET /start',
  'POST /info',
  'PUT /sync',
  ...['start', 'stop', 'sync', 'register', 'unregister'].flatMap((path) =>
    ['x', '', ' ', '{}', '[]', 'null', '"a"', '{"path":5}', '{"path":', '{"path":"DIR/none.db"}'].map(
      (body) => `POST /${path} ${body}`,
    ),
  ),
  'POST /sync {"path":"DIR/a.db","wait":"yes"}',
  'POST /stop {"path":"DIR/a.db","timeout":"x"}',
  'POST /stop {"path":"DIR/a.db","timeout":1.5}',
  'POST /register {"path":"DIR/b.db","replica_url":"DIR/rb"}',
  'POST /register {"PATH":"DIR/b.db","Replica_URL":"file://DIR/rb","more":1} and more',
  'POST /register {"path":"DIR/b.db","replica_url":"file://DIR/rb"}',
  AFTER_REGISTERING,
  AFTER_REGISTERING,
  'POST /sync {"path":"DIR/b.db"}',
  'GET /txid?path=DIR/b.db',
  'POST /start {"path":"DIR/b.db"}',
  'POST /stop {"path":"DIR/b.db"}',
  'POST /stop {"path":"DIR/b.db","timeout":5}',
  'POST /sync {"path":"DIR/b.db"}',
  'GET /txid?path=DIR/b.db',
  'GET /list',
  'POST /start {"path":"DIR/b.db","timeout":20}',
  'POST /start {"path":"sqlite3://DIR/b.db"}',
  'POST /unregister {"path":"DIR/b.db"}',
  'POST /unregister {"path":"DIR/b.db"}',
  'POST /start {"path":"DIR/b.db"}',
  'POST /register {"path":"DIR/later.db","replica_url":"file://DIR/later"}',
  'POST /sync {"path":"DIR/later.db"}',
  'POST /sync {"path":"DIR/later.db","wait":true,"timeout":1}',
  'POST /unregister {"path":"DIR/later.db","timeout":-1}',
  'GET /info',
];

/** Command lines of `litestream`, with `DIR` and `SOCKET`. */
const COMMANDS: readonly (readonly string[])[] = [
  ['info', '-socket', 'SOCKET'],
  ['info', '-json', '-socket', 'SOCKET', '-timeout', '5'],
  ['list', '-socket', 'SOCKET'],
  ['list', '-json', '-socket', 'SOCKET'],
  ['register', '-socket', 'SOCKET', '-replica', 'file://DIR/rc', 'DIR/c.db'],
  ['register', '-socket', 'SOCKET', '-json', '-replica', 'file://DIR/rc', 'DIR/c.db'],
  ['register', '-socket', 'SOCKET', '-replica', 'file://DIR/rc', 'DIR/c.db'],
  ['sync', '-socket', 'SOCKET', '-wait', 'DIR/c.db'],
  ['sync', '-socket', 'SOCKET', '-wait', '-json', '-timeout', '9', 'DIR/c.db'],
  ['sync', '-socket', 'SOCKET', '-json', 'DIR/c.db'],
  ['stop', '-socket', 'SOCKET', 'DIR/c.db'],
  ['stop', '-socket', 'SOCKET', '-json', 'DIR/c.db'],
  ['sync', '-socket', 'SOCKET', 'DIR/c.db'],
  ['start', '-socket', 'SOCKET', '-json', 'DIR/c.db'],
  ['start', '-socket', 'SOCKET', 'DIR/c.db'],
  ['start', '-socket', 'SOCKET', 'DIR/none.db'],
  ['stop', '-socket', 'SOCKET', 'DIR/none.db'],
  ['sync', '-socket', 'SOCKET', 'DIR/none.db'],
  ['unregister', '-socket', 'SOCKET', '-dry-run', 'DIR/c.db'],
  ['unregister', '-socket', 'SOCKET', 'DIR/c.db'],
  ['unregister', '-socket', 'SOCKET', '-json', 'DIR/c.db'],
];

/** Command lines that fail before they reach a daemon: standard error of the Go program is what ours has to begin with. */
const FAILING: readonly (readonly string[])[] = [
  ...['start', 'stop', 'sync', 'unregister'].flatMap((name) => [
    [name],
    [name, 'a', 'b'],
    [name, '-timeout', 'x', 'a'],
    [name, '-socket', '/does/not/exist.sock', 'a'],
  ]),
  ['register'],
  ['register', 'a', 'b'],
  ['register', 'a'],
  ['register', '-replica', 'file:///r', '-timeout', '0', 'a'],
  ['register', '-replica', 'file:///r', '-socket', '/does/not/exist.sock', 'a'],
  ...['info', 'list'].flatMap((name) => [
    [name, 'a'],
    [name, '-timeout', '0'],
    [name, '-socket', '/does/not/exist.sock'],
  ]),
  ['sync', '-timeout', '0', 'a'],
  ['unregister', '-timeout', '-1', 'a'],
];

export const socket: InteropCase = {
  name: 'control socket: the same answers, and each drives the other',
  async run(context) {
    const go = await startDaemon(context, context.go);
    const ts = await startDaemon(context, context.ts);
    try {
      const differences = [
        ...(await compareAnswers(go, ts)),
        ...(await compareCommands(context, go, ts)),
        ...(await compareFailures(context)),
      ];
      if (differences.length > 0) throw new Error(`${differences.length} differences:\n${differences.join('\n')}`);
    } finally {
      await Promise.all([go.child.stop(), ts.child.stop()]);
    }
    return `${REQUESTS.length} requests, ${COMMANDS.length} commands both ways, ${FAILING.length} failures`;
  },
};

async function startDaemon(context: InteropContext, program: Program): Promise<Daemon> {
  const folder = join(context.folder, program.name);
  await mkdir(folder);
  const socket = join(folder, 's');
  for (const name of ['a', 'b', 'c']) {
    using writer = new ChainWriter(join(folder, `${name}.db`), new Random(1));
    writer.step();
  }
  const config = join(folder, 'litestream.yml');
  await writeFile(
    config,
    `socket: {enabled: true, path: ${socket}}\ndbs: [{path: ${folder}/a.db, replica: {path: ${folder}/ra}}]\n`,
  );
  const child = program.replicate(config);
  await until('the socket', async () => {
    const { body } = await ask(socket, 'GET', '/list', '').catch(() => ({ body: '' }));
    return body.includes('last_sync_at');
  });
  return { child, folder, socket };
}

async function compareAnswers(go: Daemon, ts: Daemon): Promise<string[]> {
  const differences: string[] = [];
  for (const line of REQUESTS) {
    const answers = await Promise.all([go, ts].map((daemon) => answerOf(daemon, line)));
    const [theirs, ours] = line === AFTER_REGISTERING ? answers.map(withoutWhoWasFirst) : answers;
    if (theirs !== ours) differences.push(`${line}\n  Go:   ${theirs}\n  ours: ${ours}`);
  }
  return differences;
}

/** A new database is sent by itself, too: who is asked to may find that done. */
function withoutWhoWasFirst(answer: string): string {
  return answer.replace(/"status":"(synced|no_change)"/, '"status":"synced or no_change"');
}

async function answerOf({ socket, folder }: Daemon, line: string): Promise<string> {
  const [, method = '', path = '', body = ''] = /^(\S+) (\S+) ?(.*)$/.exec(line.replaceAll('DIR', folder)) ?? [];
  const { status, headers, body: answer } = await ask(socket, method, path, body);
  return `${status} ${headers} ${normalised(answer, folder)}`;
}

function ask(socketPath: string, method: string, path: string, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, agent: false }, (response) => {
      const { 'content-type': type, allow, 'x-content-type-options': options } = response.headers;
      text(response).then(
        (answer) =>
          resolve({
            status: response.statusCode ?? 0,
            headers: [type, allow, options].filter((each) => each !== undefined).join(' '),
            body: answer,
          }),
        reject,
      );
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** Without what must differ: folders, process numbers, times, versions. */
function normalised(text: string, folder: string): string {
  return text
    .replaceAll(folder, 'DIR')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replaceAll(/"(pid|uptime_seconds|duration_ms)": ?\d+/g, '"$1":N')
    .replaceAll(/(PID: +|Uptime: +|duration_ms: )\S+/g, '$1N')
    .replaceAll(/"version": ?"[^"]*"/g, '"version":V')
    .replaceAll(/^Litestream \S+/gm, 'Litestream V');
}

/** Four sides: both programs against both daemons print the same. */
async function compareCommands(context: InteropContext, go: Daemon, ts: Daemon): Promise<string[]> {
  const differences: string[] = [];
  const pairs = [
    { program: context.go, daemon: go },
    { program: context.go, daemon: ts },
    { program: context.ts, daemon: go },
    { program: context.ts, daemon: ts },
  ];
  const outputs = await Promise.all([
    series(pairs.filter(({ daemon }) => daemon === go)),
    series(pairs.filter(({ daemon }) => daemon === ts)),
  ]);
  const [[goGo = [], tsGo = []], [goTs = [], tsTs = []]] = outputs;
  for (const [index, command] of COMMANDS.entries()) {
    const expected = goGo[index];
    for (const [who, output] of [
      ['our command, Go daemon', tsGo[index]],
      ['Go command, our daemon', goTs[index]],
      ['our command, our daemon', tsTs[index]],
    ] as const) {
      if (output !== expected) differences.push(`${command.join(' ')}: ${who}\n  Go:   ${expected}\n  here: ${output}`);
    }
  }
  return differences;
}

/** Each program does all commands in order; the last one takes back what the first ones did. */
async function series(pairs: readonly { program: Program; daemon: Daemon }[]): Promise<string[][]> {
  const all: string[][] = [];
  for (const { program, daemon } of pairs) {
    const outputs: string[] = [];
    for (const command of COMMANDS) {
      const args = command.map((word) => word.replaceAll('DIR', daemon.folder).replace('SOCKET', daemon.socket));
      const { code, stdout, stderr } = await outcomeOf(program, args);
      outputs.push(`${code} ${normalised(stdout, daemon.folder)}${normalised(stderr, daemon.folder)}`);
    }
    all.push(outputs);
  }
  return all;
}

async function outcomeOf(
  program: Program,
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = program.start(...args);
  const { code } = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** The same exit code, nothing on standard output, and the same first words on standard error. */
async function compareFailures({ go, ts }: InteropContext): Promise<string[]> {
  const differences: string[] = [];
  for (const args of FAILING) {
    const [theirs, ours] = await Promise.all([outcomeOf(go, args), outcomeOf(ts, args)]);
    const expected = theirs.stderr.split('\n').findLast((line) => line.startsWith('Error: ')) ?? '';
    const wanted = expected.replace(/Get "[^"]*": |Post "[^"]*": /, '');
    if (theirs.code !== ours.code || ours.stdout !== '' || !ours.stderr.startsWith(wanted)) {
      differences.push(
        `${args.join(' ')}\n  Go:   ${theirs.code} ${theirs.stderr}\n  ours: ${ours.code} ${ours.stdout} ${ours.stderr}`,
      );
    }
  }
  return differences;
}

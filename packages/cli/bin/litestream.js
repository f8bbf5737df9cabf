#!/usr/bin/env node
// Runs on any Node, so that one too old says so in a sentence; therefore nothing newer than ES2018 here.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`Error: litestream needs Node 22.18 or newer, this is ${process.versions.node}`);
  process.exit(1);
}

// Signals that a command does not use, and that end a process without a listener. At SIGUSR1 Node would open its debugger to
// every user of the machine. After SIGXFSZ (ulimit -f) the write that asked for too much fails with EFBIG.
const unused = ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGIO', 'SIGPWR', 'SIGSTKFLT', 'SIGXCPU', 'SIGXFSZ'];
if (process.platform !== 'win32') for (const signal of unused) process.on(signal, () => undefined);

// Files of many databases become durable at the same time: the more of them wait together, the fewer times the disk is
// waited for. Node makes its threads, four by default, at the first call for one; a program that we start gets its own.
if (process.env.UV_THREADPOOL_SIZE === undefined) {
  process.env.UV_THREADPOOL_SIZE = '16';
  process.getBuiltinModule('fs').access('.', () => undefined);
  delete process.env.UV_THREADPOOL_SIZE;
}

// node:sqlite still announces itself as experimental; users of a command have no use for that. Other warnings stay.
const emitWarning = process.emitWarning.bind(process);
process.emitWarning = (warning, ...rest) => {
  const type = typeof rest[0] === 'object' && rest[0] !== null ? rest[0].type : rest[0];
  if (type === 'ExperimentalWarning' && String(warning).startsWith('SQLite ')) return;
  emitWarning(warning, ...rest);
};

import('../dist/run.js')
  .then(({ run }) => run(process.argv.slice(2)))
  // A connection that some library still holds must not keep a command that is done from ending. Unreferenced: where
  // nothing is held, nothing waits for it.
  .then(() => {
    // What such a library throws now changes nothing: the command is done, and has its exit code.
    process.on('uncaughtException', () => undefined).on('unhandledRejection', () => undefined);
    return setTimeout(() => process.exit(), 250).unref();
  })
  .catch((error) => {
    console.error(`Error: ${error.message}`);
    process.exitCode = 1;
  });

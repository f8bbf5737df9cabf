/**
 * Parts that `litestream-test` shares, so that its flags, help, logs, progress and errors are those of `litestream`. Not a
 * public API: it changes with the commands.
 */
export { defineCommand } from './commands/shared/command.ts';
export type { Command, CommandContext } from './commands/shared/command.ts';
export { configFlags } from './commands/shared/config-flags.ts';
export type { ConfigFlagValues } from './commands/shared/config-flags.ts';
export { openTarget } from './commands/shared/target.ts';
export type { CommandEntry } from './commands/shared/command.ts';
export type { Target } from './commands/shared/target.ts';
export { describeError } from './util/describe-error.ts';
export { UsageError } from './util/usage-error.ts';
export { duration, flag, integer, oneOf, text } from './flags/kinds.ts';
export type { FlagKind } from './flags/kinds.ts';
export type { FlagValues } from './flags/parse.ts';
export { plainLogger } from './commands/shared/configured-logger.ts';
export { runProgram } from './commands/shared/program.ts';
export type { Program } from './commands/shared/program.ts';
export { prepareEnvironment } from './run.ts';
export { Progress } from './terminal/progress.ts';
export { processTerminal } from './terminal/terminal.ts';
export type { Terminal } from './terminal/terminal.ts';
export { formatDuration } from './units/duration.ts';
export { formatSize } from './units/size.ts';

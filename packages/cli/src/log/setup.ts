/** Loggers of the commands. */
import type { Logger } from '@litestream/core';
import type { LoggingConfig } from '../config/types.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { createLogger, parseLogLevel } from './logger.ts';

/** The logger a config asks for. */
export function configuredLogger(logging: LoggingConfig, terminal: Terminal): Logger {
  return createLogger({
    level: logging.level,
    type: logging.type,
    source: logging.source,
    colour: logging.stderr ? terminal.stderrIsTty : terminal.stdoutIsTty,
    write: terminal.logLine(logging.stderr),
  });
}

/** Text at INFO, or what `LOG_LEVEL` says: for commands that read no `logging` section. */
export function plainLogger(terminal: Terminal, stderr: boolean): Logger {
  return createLogger({
    level: parseLogLevel(process.env['LOG_LEVEL'] ?? '') ?? 'info',
    type: 'text',
    source: false,
    colour: false,
    write: terminal.logLine(stderr),
  });
}

import type { Logger } from '@litestream/core';
import type { LoggingConfig } from '../../config/types.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { lineFormat } from '../../log/format.ts';
import type { LineStyle } from '../../log/format.ts';
import { createLogger, parseLogLevel } from '../../log/logger.ts';
import type { LoggerOptions } from '../../log/logger.ts';

/** The logger that a config describes. */
export function configuredLogger(logging: LoggingConfig, terminal: Terminal): Logger {
  return loggerOn(terminal, logging.stderr, {
    level: logging.level,
    type: logging.type,
    source: logging.source,
    colour: logging.stderr ? terminal.stderrIsTty : terminal.stdoutIsTty,
  });
}

/** Logs text from `LOG_LEVEL` up, by default INFO: for commands that read no `logging` section. */
export function plainLogger(terminal: Terminal, stderr: boolean): Logger {
  return loggerOn(terminal, stderr, {
    level: parseLogLevel(process.env['LOG_LEVEL'] ?? '') ?? 'info',
    type: 'text',
    source: false,
    colour: false,
  });
}

function loggerOn(terminal: Terminal, stderr: boolean, options: LineStyle & Omit<LoggerOptions, 'write'>): Logger {
  const format = lineFormat(options);
  const write = terminal.logLine(stderr, (lines, reason) =>
    format({
      time: new Date(),
      level: 'warn',
      message: 'log lines were dropped here, the log output did not accept them',
      fields: { lines, error: reason },
    }),
  );
  return createLogger({ ...options, write });
}

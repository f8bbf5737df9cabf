import { isLitestreamError } from '@litestream/core';
import type { LogFields, Logger } from '@litestream/core';
import { redact } from '../util/secrets.ts';
import { LOG_LEVELS, lineFormat } from './format.ts';
import type { LineStyle, LogLevel, LogRecord } from './format.ts';

export interface LoggerOptions extends LineStyle {
  readonly level: LogLevel;
  /** Adds the place in the code that logs the line. */
  readonly source: boolean;
  /** Takes whole lines, without their end. */
  readonly write: (line: string) => void;
}

/**
 * A logger that prints lines of the chosen format, with known secrets redacted: in each text before it is quoted, since
 * quoting changes secrets, and never in a number.
 */
export function createLogger(options: LoggerOptions, base: LogFields = {}): Logger {
  const lowest = LOG_LEVELS.indexOf(options.level);
  const at = (level: LogLevel): ((message: string, fields?: LogFields) => void) => {
    if (LOG_LEVELS.indexOf(level) < lowest) return () => undefined;
    return function log(message, fields) {
      const record: LogRecord = {
        time: new Date(),
        level,
        message: redact(message),
        source: options.source ? callerOf(log) : undefined,
        fields: fields === undefined ? base : { ...base, ...withHint(fields) },
      };
      options.write(format(record));
    };
  };
  const format = lineFormat(options);
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => createLogger(options, { ...base, ...fields }),
  };
}

/** Adds the hint of a logged error as a field of its own. */
function withHint(fields: LogFields): LogFields {
  const { error, hint } = fields;
  if (hint !== undefined || !isLitestreamError(error) || error.hint === undefined) return fields;
  return { ...fields, hint: error.hint };
}

/** `trace` … `error` in any case, `warning` too; undefined for anything else. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const name = text.toLowerCase();
  return name === 'warning' ? 'warn' : LOG_LEVELS.find((level) => level === name);
}

/** Where `inner` was called from: the function, the file within its package, and the line. */
function callerOf(inner: (message: string, fields?: LogFields) => void): LogRecord['source'] {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, inner);
  const frame = /^ +at (?:(?:async )?(.+?) \()?(?:file:\/\/)?([^\s()]+):(\d+):\d+\)?$/m;
  const [, name = '', file, line] = frame.exec(holder.stack ?? '') ?? [];
  if (file === undefined) return undefined;
  return { function: name, file: file.replace(/^.*\/(?:dist|src)\//, ''), line: Number(line) };
}

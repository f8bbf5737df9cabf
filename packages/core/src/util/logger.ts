/** Fields of a log line; keys are those of Litestream (Go) (`txid.min`, `db`, `error`, …). */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * The logger of the framework. The CLI provides one that prints; a program that embeds the library provides its own, or
 * none.
 */
export interface Logger {
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every message. */
  child(fields: LogFields): Logger;
}

const nothing = (): void => undefined;

/** Logs nothing. */
export const silentLogger: Logger = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};

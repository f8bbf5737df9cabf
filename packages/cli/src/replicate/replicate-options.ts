import type { Logger } from '@litestream/core';
import type { Config } from '../config/types.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { OnceOptions } from './run-once.ts';

export interface ReplicateOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly terminal: Terminal;
  /** `-once`: sync once, then exit. */
  readonly once: OnceOptions | undefined;
  /** Reads the config file again and applies the flags; undefined without a config file. */
  readonly reread: (() => Promise<Config>) | undefined;
  /** Variables in the config file are left as they are. */
  readonly noExpandEnv: boolean;
}

/** What a file under `servers/` exports, and `run.ts` runs. */

import type { ObjectFacts } from './objects.ts';

/** A real server that a backend is tested on. */
export interface Service {
  /** Type of the client under test: `s3`, `gcs`, … */
  readonly backend: string;
  /** Name of the server, as the table prints it. */
  readonly name: string;
  /** Run only when it is named: slow to build, or of a licence that not everybody wants on a machine. */
  readonly optional?: boolean;
  /** Installs what is not in the cache yet and starts the server on loopback, on a free port. */
  start(): Promise<RunningService>;
}

/** A server that is up, with an empty bucket (or folder) of its own. */
export interface RunningService {
  /** Replica config as it stands in YAML, without `path`: works with our clients and with Go's. */
  readonly config: Readonly<Record<string, unknown>> & { readonly type: string };
  /** What Go needs differently in its config, if anything. */
  readonly goConfig?: Readonly<Record<string, unknown>>;
  /** Facts of stored objects in which we differ from Go on purpose, each with the reason. */
  readonly goDiffers?: Readonly<Record<string, string>>;
  /** Environment that both need besides. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Conformance cases this server cannot pass whatever the client does, by name, each with what it does instead. They
   * run nevertheless; one that passes after all is a failure, so that the list cannot rot.
   */
  readonly deviations?: Readonly<Record<string, string>>;
  /** Those of them that need two requests at one moment: they may also pass. */
  readonly races?: readonly string[];
  /** Questions of `fidelity/` that it answers otherwise than the test server of `npm test`, each with the reason. */
  readonly answersDiffer?: Readonly<Record<string, string>>;
  /** What to change about the config, or the environment, for a client that the server must refuse. */
  readonly broken?: {
    readonly wrongCredentials?: Changes;
    readonly missingBucket?: Changes;
    readonly unreachable?: Changes;
  };
  /** Config of the replica at a path, where that takes more than adding `path` to `config`, which `broken` may have changed. */
  readonly configAt?: (path: string, config: RunningService['config']) => Promise<RunningService['config']>;
  /** What lies under a path, seen past our clients, where `objects.ts` has no way of its own for the type. */
  readonly stored?: (path: string) => Promise<Map<string, ObjectFacts>>;
  /** Wants a login that raw requests do not know. */
  readonly login?: 'digest';
  /** Keeps objects in its memory, or in that of the tests: no place for one of 5 GiB. */
  readonly inMemory?: boolean;
  /** null: there is no connection that could be cut. */
  readonly port?: null;
  /** Files in the conformance cases about many, for servers that take their time. Default 2,500. */
  readonly fileCount?: number;
  /** Ends the server by its process ID and removes its data. */
  stop(): Promise<void>;
}

/** Differences to a service's config and environment. */
export interface Changes {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** What a file under `servers/` exports, and `run.ts` runs. */

/** A real server that a backend is tested on. */
export interface Service {
  /** Type of the client under test: `s3`, `gcs`, … */
  readonly backend: string;
  /** Name of the server, as the table prints it. */
  readonly name: string;
  /** Installs what is not in the cache yet and starts the server on loopback, on a free port. */
  start(): Promise<RunningService>;
}

/** A server that is up, with an empty bucket (or folder) of its own. */
export interface RunningService {
  /** Replica config as it stands in YAML, without `path`: works with our clients and with Go's. */
  readonly config: Readonly<Record<string, unknown>> & { readonly type: string };
  /** What Go needs differently in its config, if anything. */
  readonly goConfig?: Readonly<Record<string, unknown>>;
  /** Environment that both need besides. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Conformance cases this server cannot pass whatever the client does, by name, each with what it does instead. They
   * run nevertheless; one that passes after all is a failure, so that the list cannot rot.
   */
  readonly deviations?: Readonly<Record<string, string>>;
  /** Ends the server by its process ID and removes its data. */
  stop(): Promise<void>;
}

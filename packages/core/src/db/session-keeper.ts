import type { Op } from '../storage/contract/contract.ts';
import { realDatabasePath } from '../files/real-path.ts';
import { missingError, notOpenError } from '../sqlite/database-file/db-errors.ts';
import { isAtPath } from '../sqlite/database-file/descriptor.ts';
import type { LockHolder } from '../files/held-locks.ts';
import { MetadataLock } from './metadata/metadata-lock.ts';
import { isInUse, type DatabaseInUseError } from './metadata/metadata-lock-errors.ts';
import { MovedFile } from './session/moved-file.ts';
import type { History, OpenOptions, SyncOptions } from './session/options.ts';
import type { Session } from './session/session.ts';
import { stateOf, type DbStatus } from './status/db-status.ts';
import { ArrivalWatch } from './open/arrival.ts';
import { closeSession, openSession } from './open/open-session.ts';
import type { DbContext } from './db-context.ts';
import { nextFileState, type FileState } from './file-state.ts';

export interface SessionKeeperParts {
  /** Takes what was committed to a file that is not at the path any more into level-0 files. Never rejects. */
  readonly drainWal: (session: Session, options: Op) => Promise<void>;
  /** Called once a session was closed whose file may be opened again. */
  readonly onClosed: () => void;
}

/**
 * Keeps the session of the database file at a path: opens it, opens the file that takes its place, stands by while another
 * Litestream replicates the database.
 */
export class SessionKeeper {
  readonly #context: DbContext;
  readonly #parts: SessionKeeperParts;
  readonly #arrival: ArrivalWatch;
  readonly #lock: MetadataLock;
  readonly #moved: MovedFile;
  #history: History | undefined;
  #isAdmitting = false;
  #state: FileState = { kind: 'waiting' };

  constructor(context: DbContext, parts: SessionKeeperParts) {
    const { path, metaPath, options, logger } = context;
    this.#context = context;
    this.#parts = parts;
    this.#arrival = new ArrivalWatch(path, logger, { quietMs: options.arrivalQuietMs });
    this.#lock = new MetadataLock(metaPath, options.driver);
    this.#moved = new MovedFile(path);
  }

  /** The session of the open database file; undefined while there is none. */
  get session(): Session | undefined {
    return this.#state.kind === 'open' ? this.#state.session : undefined;
  }

  /** The database file, no link to it. */
  get file(): string {
    return this.session?.path ?? realDatabasePath(this.#context.path);
  }

  /** A file was open, and is not at the path any more. */
  get isRemoved(): boolean {
    const { session } = this;
    return session !== undefined && !isAtPath(session.descriptor, this.#context.path);
  }

  get history(): History | undefined {
    return this.#history;
  }

  get status(): DbStatus['state'] {
    return stateOf(this.#isAdmitting, this.#state.kind === 'standby', this.#state.kind === 'open');
  }

  /** The Litestream for which this one stands by, as far as it is known. */
  get holder(): LockHolder | undefined {
    return this.#state.kind === 'standby' ? this.#state.error.holder : undefined;
  }

  /** Why the file that is there is not opened yet. */
  get waitingFor(): string | undefined {
    return this.#arrival.reason;
  }

  /** Cheap: may a file that waits be opened now? */
  mayHaveSettled(): boolean {
    return this.#arrival.mayHaveSettled();
  }

  /** Allows work from now on. False if it was allowed already. */
  admit(history: History | undefined): boolean {
    if (this.#isAdmitting) return false;
    this.#isAdmitting = true;
    this.#history = history;
    return true;
  }

  /** Allows no further work. False if none was allowed. */
  refuse(): boolean {
    const wasAdmitting = this.#isAdmitting;
    this.#isAdmitting = false;
    return wasAdmitting;
  }

  requireAdmitted(operation: string): void {
    if (this.#isAdmitting) return;
    throw notOpenError(this.#context.path, operation);
  }

  /** The first opening failed: the next one is the first again. */
  abandon(): void {
    this.#isAdmitting = false;
    this.#lock.release();
  }

  /** The open database file; undefined while there is none. Inside the mutex. */
  async open(options: OpenOptions): Promise<Session | undefined> {
    const { path, logger, position, takenOver } = this.#context;
    const current = this.session;
    if (current !== undefined) {
      if (isAtPath(current.descriptor, path)) return current;
      this.#moved.notice(current, logger);
      await this.#parts.drainWal(current, options);
      await this.close(current);
    }
    const session = await this.#openOrStandBy(options);
    if (session === undefined) return undefined;
    takenOver.opened(session.otherProgram ? session.txid : undefined, session.ownership);
    position.opened(session.txid);
    return session;
  }

  /** Inside the mutex. Rejects if there is no file that may be opened. */
  async require(operation: string, options: Op): Promise<Session> {
    const session = await this.open(options);
    if (session !== undefined) return session;
    throw this.#arrival.notReady(operation) ?? missingError(this.#context.path, operation);
  }

  /** Inside the mutex, after a sync: throws if what was asked for does not hold. */
  requireSeen({ requires }: SyncOptions): void {
    if (requires === undefined) return;
    if (requires === 'file') this.#moved.requireNoneLost('replicated');
    const { path, position } = this.#context;
    const { session } = this;
    if (session !== undefined && isAtPath(session.descriptor, path)) return;
    const operation = requires === 'file' ? 'replicated' : 'sync';
    this.#arrival.requireReady(operation);
    if (requires === 'file' && position.last.txid > 0n) throw missingError(path, operation);
  }

  /** What is in the WAL stays there. The next look opens the database again, whether or not it changes. */
  async close(session: Session): Promise<void> {
    this.#state = nextFileState(this.#state, { kind: 'closing', session });
    await closeSession(session, { keepsWal: true });
    this.#context.marker.forget();
    this.#parts.onClosed();
  }

  /** Inside the mutex. `settle`: brings the file to rest before it is closed; false if its WAL must stay. */
  async end(settle: (session: Session) => Promise<boolean>): Promise<void> {
    const { session, isRemoved } = this;
    if (session !== undefined) {
      this.#state = nextFileState(this.#state, { kind: 'closing', session });
      await closeSession(session, { keepsWal: isRemoved || !(await settle(session)) });
    }
    this.#state = nextFileState(this.#state, { kind: 'not-opened' });
    this.#context.ledger.rest(0);
    this.#lock.release();
    this.#arrival.close();
  }

  /** Rejects with `DATABASE_IN_USE` while another Litestream holds the lock of the metadata folder. */
  async #openOrStandBy({ signal, patienceMs }: OpenOptions): Promise<Session | undefined> {
    const { path, metaPath, options, times, logger } = this.#context;
    const parts = { lock: this.#lock, arrival: this.#arrival, times, options, history: this.#history };
    try {
      const session = await openSession({ path, metaPath, ...parts, logger, signal, patienceMs });
      if (session === undefined) {
        this.#state = nextFileState(this.#state, { kind: 'not-opened' });
        return undefined;
      }
      if (this.#state.kind === 'standby') logger.info('taking over from the other litestream');
      this.#state = nextFileState(this.#state, { kind: 'opened', session });
      return session;
    } catch (error) {
      if (isInUse(error)) this.#standBy(error);
      else this.#state = nextFileState(this.#state, { kind: 'not-opened' });
      throw error;
    }
  }

  #standBy(error: DatabaseInUseError): void {
    const { logger, position, record } = this.#context;
    if (this.#state.kind !== 'standby') {
      logger.warn('another litestream replicates this database, standing by', { ...error.holder });
      position.forget();
    }
    this.#state = nextFileState(this.#state, { kind: 'in-use', error });
    record.lastError = error;
  }
}

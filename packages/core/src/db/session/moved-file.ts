/** A link at the path of a database that leads to another file than before, while the earlier one is still there. */
import { LitestreamError } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';
import { ChangeMarker } from '../../files/change-marker.ts';
import { isAtPath } from '../../sqlite/database-file/descriptor.ts';
import type { Session } from './session.ts';

export class MovedFile {
  readonly #path: string;
  #earlier: { readonly file: string; readonly marker: ChangeMarker } | undefined;
  #isReported = true;

  /** `path` is that of the link. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Call this if the file at the path is not the session's. */
  notice({ path, descriptor }: Session, logger: Logger): void {
    if (!isAtPath(descriptor, path)) {
      logger.warn('database file was removed or replaced, reopening');
      return;
    }
    const marker = new ChangeMarker(path);
    marker.mark();
    this.#earlier = { file: path, marker };
    this.#isReported = false;
    logger.error('database is another file now, reopening', { error: this.#error('sync', path) });
  }

  /**
   * Throws `DATABASE_CHANGED` once after each move, and again once for commits to the earlier file: the caller may have made
   * them, and no level-0 file of the new one holds them.
   */
  requireNoneLost(operation: string): void {
    if (this.#earlier === undefined) return;
    const { file, marker } = this.#earlier;
    const hasChanged = marker.mayHaveChanged();
    if (this.#isReported && !hasChanged) return;
    this.#isReported = true;
    marker.mark();
    throw this.#error(operation, file);
  }

  #error(operation: string, earlier: string): LitestreamError {
    return new LitestreamError(`the path of the database leads to another file than ${earlier}: ${this.#path}`, {
      code: 'DATABASE_CHANGED',
      retryable: true,
      operation,
      object: this.#path,
      hint: 'Litestream now replicates the file that the link leads to. It no longer replicates commits to the earlier file. Restart the programs that still have the earlier file open.',
    });
  }
}

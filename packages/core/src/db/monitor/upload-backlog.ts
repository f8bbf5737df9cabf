/** How many local files the replica does not have yet, while an upload to it runs; 0 while no upload runs. */
export type FilesInFlight = () => number;

/**
 * While every replica has this many files to upload, a further file would only wait: its commits go into the next one instead. So a
 * replica that needs more than the sync interval for a file gets larger files, not a longer queue.
 */
const FILES_IN_FLIGHT_MAX = 4;

/** The upload backlogs of the replicas of one database. */
export class UploadBacklog {
  readonly #replicas = new Set<FilesInFlight>();

  /** Returns a function that removes the replica. */
  add(filesInFlight: FilesInFlight): () => void {
    this.#replicas.add(filesInFlight);
    return () => void this.#replicas.delete(filesInFlight);
  }

  /** True if no replica keeps up. False without replicas, and if no upload to one of them runs: it may be down. */
  get isFull(): boolean {
    if (this.#replicas.size === 0) return false;
    for (const filesInFlight of this.#replicas) if (filesInFlight() < FILES_IN_FLIGHT_MAX) return false;
    return true;
  }
}

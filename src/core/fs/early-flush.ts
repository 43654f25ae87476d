/** Written bytes after which a flush is started. */
const EVERY_BYTES = 64 * 1024 * 1024

/**
 * Flushes a large file to disk in the background while more of it is produced. The kernel alone may
 * leave gigabytes to the flush at the end, during which nothing else happens. That flush is still
 * needed.
 */
export class EarlyFlush {
  readonly #sync: () => Promise<void>
  readonly #everyBytes: number
  #unflushed = 0
  #running: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /**
   * @param sync fsync of the file
   * @param everyBytes written bytes between two flushes
   */
  constructor(sync: () => Promise<void>, everyBytes: number = EVERY_BYTES) {
    this.#sync = sync
    this.#everyBytes = everyBytes
  }

  /**
   * To be called after each write. Starts a flush if one is due and none is running.
   *
   * @throws the error of an earlier flush, because the kernel reports it only once
   */
  wrote(bytes: number): void {
    this.#throwFailure()
    this.#unflushed += bytes
    if (this.#unflushed < this.#everyBytes || this.#running !== undefined) return
    this.#unflushed = 0
    this.#running = this.#sync()
      .catch((error: unknown) => {
        this.#failure = { error }
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  /** Waits for the running flush. @throws the error of any flush */
  async end(): Promise<void> {
    await this.#running
    this.#throwFailure()
  }

  /** Waits for the running flush, whether it succeeds or fails, so that the file can be closed. */
  async settle(): Promise<void> {
    await this.#running
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

/**
 * `NotWritten`: the target is as it was. `MaybeWritten`: the new file has its name, but the folder
 * could not be flushed, so that a power failure may take it away again.
 */
export type DurableWriteCode = 'NotWritten' | 'MaybeWritten'

/** A durable write that failed; `cause` is the file system's own error. */
export class DurableWriteError extends Error {
  readonly code: DurableWriteCode
  readonly path: string

  constructor(code: DurableWriteCode, path: string, cause: unknown) {
    const state = code === 'NotWritten' ? 'was not written' : 'may not survive a power failure'
    super(`The file ${path} ${state}: ${cause instanceof Error ? cause.message : cause}.`, {
      cause,
    })
    this.name = 'DurableWriteError'
    this.code = code
    this.path = path
  }
}

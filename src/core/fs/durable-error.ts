import { ExitCode, WalsyncError } from '../errors.ts'

/**
 * `NotWritten`: the target is as it was. `MaybeWritten`: the new file has its name, but the folder
 * could not be flushed, so that a power failure may take it away again.
 */
export type DurableWriteCode = 'NotWritten' | 'MaybeWritten'

/** A durable write that failed; `cause` is the file system's own error. */
export class DurableWriteError extends WalsyncError<DurableWriteCode> {
  override readonly name = 'DurableWriteError'
  readonly path: string

  constructor(code: DurableWriteCode, path: string, cause: unknown) {
    const state = code === 'NotWritten' ? 'was not written' : 'may not survive a power failure'
    const reason = cause instanceof Error ? cause.message : cause
    super(code, `The file ${path} ${state}: ${reason}.`, ExitCode.other, { cause })
    this.path = path
  }
}

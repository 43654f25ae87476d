import { DurableFile, type DurableFileOptions } from './durable-file.ts'
import type { DurableStats } from './durable-fs.ts'

export interface DurableWriteOptions extends DurableFileOptions {
  /** `replace` an existing file (default) or `create` only: `EEXIST` in the error's cause. */
  readonly how?: 'replace' | 'create' | undefined
  readonly mtime?: Date | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes a file so that after a crash it is absent, the old one or the new one, and the new one
 * once this has resolved. An error of `chunks` and the signal's reason come out as they are.
 *
 * @throws DurableWriteError `NotWritten` or `MaybeWritten`
 */
export async function durableWrite(
  target: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: DurableWriteOptions = {},
): Promise<DurableStats> {
  options.signal?.throwIfAborted()
  const file = await DurableFile.open(target, options)
  try {
    for await (const chunk of chunks) {
      options.signal?.throwIfAborted()
      await file.write(chunk)
    }
    const stats = await file.seal({ mtime: options.mtime })
    options.signal?.throwIfAborted()
    await file.publish(options.how ?? 'replace')
    return stats
  } finally {
    await file.discard()
  }
}

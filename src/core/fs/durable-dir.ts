import { dirname } from 'node:path'
import { type DurableFs, type DurableStats, nodeFs } from './durable-fs.ts'

/** Group may read and enter, others may not: the folders hold databases. Lowered further by umask. */
export const DIR_MODE = 0o750

const ATTEMPTS = 10

/**
 * Makes a folder and its missing parents, and flushes the parent of each new one: a new entry is
 * durable only once the folder that holds it is (fsync(2)).
 *
 * @param flush what flushes a parent; for a caller that does it later, something that does nothing
 */
export async function makeDir(
  dir: string,
  fs: DurableFs = nodeFs,
  flush: (dir: string, fs: DurableFs) => Promise<unknown> = syncDir,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await fs.mkdir(dir, DIR_MODE)
      await flush(dirname(dir), fs)
      return
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') return
      const parent = dirname(dir)
      // The parent is missing, or was removed by others since. Under a dangling link it stays so.
      if (code !== 'ENOENT' || parent === dir || attempt === ATTEMPTS) throw error
      await makeDir(parent, fs, flush)
    }
  }
}

/** Flushes a folder's entries to the disk. */
export async function syncDir(dir: string, fs: DurableFs = nodeFs): Promise<DurableStats> {
  const handle = await fs.openDir(dir)
  try {
    await handle.sync()
    return await handle.stat({ bigint: true })
  } finally {
    await handle.close()
  }
}

import { dirname } from 'node:path'
import { type DurableFs, type DurableStats, nodeFs } from './durable-fs.ts'

/** Group may read and enter, others may not: the folders hold databases. Lowered further by umask. */
export const DIR_MODE = 0o750

/**
 * Makes a folder and its missing parents, and flushes the parent of each new one: a new entry is
 * durable only once the folder that holds it is (fsync(2)).
 */
export async function makeDir(dir: string, fs: DurableFs = nodeFs): Promise<void> {
  try {
    await fs.mkdir(dir, DIR_MODE)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    const parent = dirname(dir)
    if (code !== 'ENOENT' || parent === dir) throw error
    await makeDir(parent, fs)
    await makeDir(dir, fs)
    return
  }
  await syncDir(dirname(dir), fs)
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

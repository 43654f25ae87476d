const tails = new Map<string, Promise<void>>()

/**
 * Runs `work` exclusively among all stores of this process that lock the same path. It makes
 * compare and swap one step; no system call does that for files, hence `ifMatch: 'process'`.
 */
export async function withPathLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const before = tails.get(path)
  const { promise, resolve } = Promise.withResolvers<void>()
  tails.set(path, promise)
  await before
  try {
    return await work()
  } finally {
    if (tails.get(path) === promise) tails.delete(path)
    resolve()
  }
}

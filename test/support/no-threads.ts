import { vi } from 'vitest'

/**
 * Runs something where a limit of the system allows no thread. What it imports is loaded anew.
 *
 * @returns how often a thread was refused
 */
export async function whereNoThreadStarts(run: () => Promise<void>): Promise<number> {
  let refused = 0
  vi.resetModules()
  vi.doMock('node:worker_threads', () => ({
    Worker: class {
      constructor() {
        refused += 1
        throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
      }
    },
  }))
  try {
    await run()
  } finally {
    vi.doUnmock('node:worker_threads')
    vi.resetModules()
  }
  return refused
}

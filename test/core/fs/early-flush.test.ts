import { describe, expect, it } from 'vitest'
import { EarlyFlush } from '../../../src/core/fs/index.ts'

describe('EarlyFlush', () => {
  it('starts no flush while one runs, and ends with it', async () => {
    const ends: (() => void)[] = []
    const flush = new EarlyFlush(() => new Promise((resolve) => ends.push(resolve)), 100)
    flush.wrote(99)
    expect(ends).toHaveLength(0)
    for (let n = 0; n < 10; n++) flush.wrote(100)
    expect(ends).toHaveLength(1)
    let ended = false
    const ending = flush.end().then(() => {
      ended = true
    })
    await Promise.resolve()
    expect(ended).toBe(false)
    ends[0]!()
    await ending
    flush.wrote(1)
    expect(ends).toHaveLength(2)
  })

  it('keeps the error of a flush for the next write and for the end', async () => {
    const failure = new Error('EIO: i/o error, fsync')
    const flush = new EarlyFlush(() => Promise.reject(failure), 100)
    flush.wrote(100)
    await flush.settle()
    expect(() => flush.wrote(1)).toThrow(failure)
    await expect(flush.end()).rejects.toBe(failure)
  })
})

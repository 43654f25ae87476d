import { describe, expect, it } from 'vitest'
import {
  DurableFile,
  type DurableFs,
  type DurableHandle,
  DurableWriteError,
  EarlyFlush,
} from '../../../src/core/fs/index.ts'

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

/** A disk that counts what happens to the only file, and can fail its flushes. */
class CountingDisk {
  readonly calls: string[] = []
  failsFlush = false

  get fs(): DurableFs {
    const note = async (call: string): Promise<void> => {
      this.calls.push(call)
    }
    return {
      create: async () => this.#handle(this.calls),
      openDir: async () => this.#handle([]),
      mkdir: async () => {},
      link: () => note('link'),
      rename: () => note('rename'),
      unlink: () => note('unlink'),
    }
  }

  #handle(calls: string[]): DurableHandle {
    const stats = { dev: 1n, ino: 1n, size: 0n, mtimeNs: 0n, birthtimeNs: 0n }
    return {
      write: async (_bytes, _offset, length) => ({ bytesWritten: length }),
      sync: async () => {
        calls.push('sync')
        if (this.failsFlush) throw new Error('EIO: i/o error, fsync')
      },
      close: async () => {
        calls.push('close')
      },
      stat: async () => stats,
      utimes: async () => {},
      chmod: async () => {},
    }
  }
}

describe('DurableFile', () => {
  const MIB = new Uint8Array(1024 * 1024)

  async function writeMibs(file: DurableFile, count: number): Promise<void> {
    for (let n = 0; n < count; n++) await file.write(MIB)
  }

  it('flushes a large file on the way, and again at its end', async () => {
    const disk = new CountingDisk()
    const file = await DurableFile.open('/root/a', { fs: disk.fs })
    await writeMibs(file, 130)
    disk.calls.push('written')
    await file.seal()
    expect(disk.calls).toEqual(['sync', 'sync', 'written', 'sync', 'close'])
    await file.discard()
  })

  it('fails when a flush on the way failed, and removes the staged file', async () => {
    const disk = new CountingDisk()
    const file = await DurableFile.open('/root/a', { fs: disk.fs })
    disk.failsFlush = true
    const writing = writeMibs(file, 64).then(() => {
      disk.failsFlush = false
      return file.seal()
    })
    await expect(writing).rejects.toBeInstanceOf(DurableWriteError)
    expect(disk.calls).toEqual(['sync', 'close', 'unlink'])
  })
})

import { describe, expect, it } from 'vitest'
import { proveContinuity, type ReplicatedEnd, type WalView } from '../../../src/core/db/index.ts'
import {
  decodeWalHeader,
  encodeWalHeader,
  extendWalChecksum,
  type WalHeader,
  walFrameOffset,
  walFrameSize,
} from '../../../src/core/wal/index.ts'

const PAGE = 512
const SIZE = walFrameSize(PAGE)

/** A WAL file as bytes: each run overwrites from the start and leaves what is behind it. */
class Log {
  bytes = new Uint8Array(0)
  header: WalHeader | undefined
  frames = 0
  #sum = { s1: 0, s2: 0 }

  run(salt1: number, sequence: number, frames: number): this {
    const encoded = encodeWalHeader({
      bigEndian: false,
      pageSize: PAGE,
      sequence,
      salt1,
      salt2: salt1 * 31,
    })
    this.#write(0, encoded)
    this.header = decodeWalHeader(encoded)!
    this.#sum = { s1: this.header.checksum1, s2: this.header.checksum2 }
    this.frames = 0
    return this.add(frames)
  }

  add(frames: number): this {
    const { salt1, salt2 } = this.header!
    for (let i = 0; i < frames; i++) {
      const frame = new Uint8Array(SIZE).fill(this.frames)
      const view = new DataView(frame.buffer)
      view.setUint32(0, 1 + this.frames)
      view.setUint32(4, 1 + this.frames)
      view.setUint32(8, salt1)
      view.setUint32(12, salt2)
      extendWalChecksum(this.#sum, frame, 0, 8, false)
      extendWalChecksum(this.#sum, frame, 24, SIZE, false)
      view.setUint32(16, this.#sum.s1)
      view.setUint32(20, this.#sum.s2)
      this.#write(walFrameOffset(this.frames, PAGE), frame)
      this.frames += 1
    }
    return this
  }

  cut(frames: number): this {
    this.bytes = this.bytes.slice(0, walFrameOffset(frames, PAGE))
    return this
  }

  anchor(): ReplicatedEnd {
    const { pageSize, sequence, salt1, salt2 } = this.header!
    const sums = { checksum1: this.#sum.s1, checksum2: this.#sum.s2 }
    return { pageSize, sequence, salt1, salt2, frame: this.frames, ...sums, bootId: 7 }
  }

  view(bootId = 7): WalView {
    return {
      header: this.header,
      published: this.frames,
      bootId,
      read: (into, offset) => {
        const part = this.bytes.subarray(offset, offset + into.length)
        into.set(part)
        return part.length
      },
    }
  }

  #write(offset: number, data: Uint8Array): void {
    if (this.bytes.length < offset + data.length) {
      const grown = new Uint8Array(offset + data.length)
      grown.set(this.bytes)
      this.bytes = grown
    }
    this.bytes.set(data, offset)
  }
}

describe('proveContinuity', () => {
  it('continues in the same run, at its end or before it', () => {
    const log = new Log().run(1, 0, 5)
    const anchor = log.anchor()
    expect(proveContinuity(anchor, log.view())).toMatchObject({
      proven: true,
      position: { frame: 5 },
    })
    log.add(3)
    expect(proveContinuity(anchor, log.view(99))).toMatchObject({
      proven: true,
      position: { frame: 5 },
    })
  })

  it('does not continue in the same run if the last frame differs or is not published', () => {
    const log = new Log().run(1, 0, 5)
    const anchor = log.anchor()
    expect(proveContinuity({ ...anchor, checksum2: 1 }, log.view()).proven).toBe(false)
    expect(proveContinuity(anchor, { ...log.view(), published: 4 }).proven).toBe(false)
  })

  it('continues in the next run if older bytes still follow the old end', () => {
    const log = new Log().run(1, 0, 9).run(2, 1, 5)
    const anchor = log.anchor()
    log.run(3, 2, 2)
    expect(proveContinuity(anchor, log.view())).toMatchObject({
      proven: true,
      position: { frame: 0 },
    })
    expect(proveContinuity(anchor, log.view(8)).proven, 'after a boot').toBe(false)
    expect(proveContinuity({ ...anchor, bootId: 0 }, log.view(0)).proven, 'boot unknown').toBe(
      false,
    )
  })

  it('does not continue in the next run if the old one had more', () => {
    const log = new Log().run(1, 0, 9).run(2, 1, 5)
    const anchor = log.anchor()
    log.add(1).run(3, 2, 2)
    expect(proveContinuity(anchor, log.view()).proven).toBe(false)
  })

  it('does not continue in the next run if it reaches or passes the old end', () => {
    for (const frames of [5, 6, 8]) {
      const log = new Log().run(1, 0, 9).run(2, 1, 5)
      const anchor = log.anchor()
      log.run(3, 2, frames)
      expect(proveContinuity(anchor, log.view()).proven, `${frames} frames`).toBe(false)
    }
  })

  it('does not continue in the next run if the file ends at the old end, or inside the frame after it', () => {
    const log = new Log().run(2, 1, 5)
    const anchor = log.anchor()
    log.run(3, 2, 2)
    expect(proveContinuity(anchor, log.view()).proven).toBe(false)
    const torn = new Log().run(1, 0, 9).run(2, 1, 5)
    const tornAnchor = torn.anchor()
    torn.run(3, 2, 2)
    torn.bytes = torn.bytes.slice(0, walFrameOffset(5, PAGE) + 100)
    expect(proveContinuity(tornAnchor, torn.view()).proven).toBe(false)
  })

  it('does not continue after two restarts, in a new log, in another page size, or without a log', () => {
    const log = new Log().run(1, 0, 9).run(2, 1, 5)
    const anchor = log.anchor()
    log.run(4, 3, 2)
    expect(proveContinuity(anchor, log.view()).proven).toBe(false)
    expect(proveContinuity(anchor, new Log().run(77, 0, 2).view()).proven).toBe(false)
    expect(proveContinuity({ ...anchor, pageSize: 1024 }, log.view()).proven).toBe(false)
    expect(proveContinuity(anchor, { ...log.view(), header: undefined }).proven).toBe(false)
  })
})

import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { MemoryObjectStore } from '../../src/backends/memory/index.ts'

/** Moves on with each use, as the times in the names did. */
export class WriterClock {
  #now = Date.UTC(2026, 0, 10, 19, 31, 51, 123)

  tick(ms: number): Date {
    this.#now += ms
    return new Date(this.#now)
  }

  get now(): Date {
    return new Date(this.#now)
  }
}

/**
 * walsync 0.1.1 as far as its objects go: reads the WAL as a plain file from its last position to the end,
 * notices a new log only by a shorter file, and copies the database file as it lies there.
 */
export class OldWriter {
  readonly store: MemoryObjectStore
  readonly #database: string
  readonly #clock: WriterClock
  #offset = 0
  #generation = 0
  #lastSnapshot: string | null = null
  #log = ''

  constructor(database: string, clock: WriterClock, store = new MemoryObjectStore()) {
    this.store = store
    this.#database = database
    this.#clock = clock
  }

  /**
   * Uploads what the WAL gained.
   *
   * @returns Has all of the log that is in the file been uploaded since its beginning? Not after a
   *   restart in place, which goes unnoticed.
   */
  async sync(): Promise<boolean> {
    const wal = `${this.#database}-wal`
    if (!existsSync(wal)) return false
    const handle = openSync(wal, 'r')
    let frames: Buffer
    let whole: boolean
    try {
      const header = Buffer.alloc(32)
      if (readSync(handle, header, 0, 32, 0) < 32) return false
      const { size } = fstatSync(handle)
      if (size < this.#offset) {
        this.#offset = 0
        this.#generation++
      }
      const log = header.toString('hex', 12, 24)
      if (this.#offset === 0) this.#log = log
      const start = this.#offset === 0 ? 32 : this.#offset
      const frameSize = header.readUInt32BE(8) + 24
      const length = Math.floor((size - start) / frameSize) * frameSize
      whole = this.#log === log
      if (length <= 0) return whole
      frames = Buffer.alloc(length)
      readSync(handle, frames, 0, length, start)
      this.#offset = start + length
    } finally {
      closeSync(handle)
    }
    const generation = String(this.#generation).padStart(8, '0')
    const name = `wal/${generation}-${digits(this.#clock.tick(1)).slice(0, 17)}.wal`
    await this.store.put(`app/${name}`, frames, { createdAt: this.#clock.tick(2) })
    const state = {
      last_snapshot: this.#lastSnapshot,
      wal_generation: this.#generation,
      wal_offset: this.#offset,
    }
    const body = Buffer.from(JSON.stringify(state, null, 2))
    await this.store.put('app/state.json', body, { createdAt: this.#clock.tick(1) })
    return whole
  }

  /** Uploads the database file; `meanwhile` runs when half of it has been read. */
  async snapshot(meanwhile: () => void = () => {}): Promise<void> {
    const begin = this.#clock.tick(1)
    const { size } = statSync(this.#database)
    const half = Math.floor(size / 2)
    const first = read(this.#database, 0, half)
    meanwhile()
    const bytes = Buffer.concat([first, read(this.#database, half, size - half)])
    const key = `app/snapshots/${digits(begin).slice(0, 14)}.db`
    await this.store.put(key, bytes, { createdAt: this.#clock.tick(5) })
    this.#lastSnapshot = begin.toISOString()
  }

  /** A new process that could not read its state: it begins anew. */
  loseState(): void {
    this.#offset = 0
    this.#generation = 0
  }
}

function read(path: string, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  const handle = openSync(path, 'r')
  try {
    return bytes.subarray(0, readSync(handle, bytes, 0, length, position))
  } finally {
    closeSync(handle)
  }
}

/** `YYYYMMDDHHMMSSmmm` */
function digits(time: Date): string {
  return time.toISOString().replaceAll(/[-:.TZ]/g, '')
}

/**
 * Which LZ4 codec should serve the LTX format? Runs each candidate in a process of its own over
 * 100,000 pages of a SQLite database, because memory that one leaves behind must not count against
 * the next. Speed is per CPU second of the whole process, garbage collection included.
 *
 *     node bench/lz4.ts
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { compressSync, uncompressSync } from 'lz4-napi'
import { compressBlock, compressBound, decompressBlock } from '../src/core/ltx/codec/lz4-block.ts'
import {
  Crc64,
  encodeLtxHeader,
  FLAG_NO_CHECKSUM,
  LtxDecoder,
  LtxEncoder,
  type LtxHeader,
  txid,
} from '../src/core/ltx/index.ts'

const PAGE_SIZE = 4096
const PAGES = 100_000
const PREFIX = 4 // lz4-napi puts the length before the block
const FRAME_PREFIX = 10
const BLOCK = 1

/** Makes the step that is measured: it takes a page and the same page compressed. */
type Candidate = () => (page: Buffer, block: Uint8Array) => unknown

const CANDIDATES: Readonly<Record<string, Candidate>> = {
  'compress, walsync': () => {
    const target = new Uint8Array(compressBound(PAGE_SIZE))
    return (page) => compressBlock(page, target, 0)
  },
  'compress, lz4-napi': () => {
    const target = new Uint8Array(compressBound(PAGE_SIZE))
    return (page) => target.set(compressSync(page).subarray(PREFIX))
  },
  'decompress, walsync': () => {
    const target = new Uint8Array(PAGE_SIZE)
    return (_, block) => decompressBlock(block, target)
  },
  'decompress, lz4-napi': () => {
    const target = new Uint8Array(PAGE_SIZE)
    const prefixed = Buffer.alloc(PREFIX + compressBound(PAGE_SIZE))
    prefixed.writeUInt32LE(PAGE_SIZE)
    return (_, block) => {
      prefixed.set(block, PREFIX)
      target.set(uncompressSync(prefixed.subarray(0, PREFIX + block.length)))
    }
  },
  'CRC-64': () => {
    const crc = new Crc64()
    return (page) => crc.update(page)
  },
  'LTX encoder': () => {
    const encoder = new LtxEncoder(header())
    let pgno = 0
    return (page) => {
      encoder.encodePage(++pgno, page)
      encoder.drain()
    }
  },
  'LTX decoder': () => {
    const decoder = new LtxDecoder()
    decoder.write(encodeLtxHeader(header()))
    const frame = Buffer.alloc(FRAME_PREFIX + compressBound(PAGE_SIZE))
    let pgno = 0
    return (_, block) => {
      frame.writeUInt32BE(++pgno)
      frame.writeUInt16BE(BLOCK, 4)
      frame.writeUInt32BE(block.length, 6)
      frame.set(block, FRAME_PREFIX)
      decoder.write(frame.subarray(0, FRAME_PREFIX + block.length))
    }
  },
}

const [name, path] = process.argv.slice(2)
if (name === undefined || path === undefined) compareAll()
else measure(name, path)

function compareAll(): void {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-bench-'))
  try {
    const sample = join(folder, 'sample.db')
    createDatabase(sample)
    for (const candidate of Object.keys(CANDIDATES)) {
      spawnSync(process.execPath, [import.meta.filename, candidate, sample], { stdio: 'inherit' })
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function measure(name: string, path: string): void {
  const database = readFileSync(path)
  const pages: Buffer[] = []
  for (let at = 0; at < database.length; at += PAGE_SIZE) {
    pages.push(database.subarray(at, at + PAGE_SIZE))
  }
  const target = new Uint8Array(compressBound(PAGE_SIZE))
  const blocks = pages.map((page) => target.slice(0, compressBlock(page, target, 0)))
  const ratio = blocks.reduce((sum, block) => sum + block.length, 0) / database.length
  const step = CANDIDATES[name]!()
  const rss = process.memoryUsage.rss()
  const cpu = process.cpuUsage()
  for (let count = 0; count < PAGES; count++) {
    const at = count % pages.length
    step(pages[at]!, blocks[at]!)
  }
  const { user, system } = process.cpuUsage(cpu)
  const speed = (PAGES * PAGE_SIZE) / (user + system)
  const growth = process.resourceUsage().maxRSS / 1024 - rss / 1024 ** 2
  console.log(
    `${name.padEnd(24)}${speed.toFixed(0).padStart(6)} MB/s   peak memory +${Math.max(0, growth).toFixed(0)} MiB   (ratio ${ratio.toFixed(3)})`,
  )
}

function header(): LtxHeader {
  return {
    flags: FLAG_NO_CHECKSUM,
    pageSize: PAGE_SIZE,
    commit: PAGES,
    minTxid: txid(1),
    maxTxid: txid(1),
    timestamp: 0,
    preApplyChecksum: 0n,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
    nodeId: 0n,
  }
}

/** About 6,500 pages: rows of text, numbers and random bytes, and an index. */
function createDatabase(path: string): void {
  const words = 'invoice order customer pending shipped Berlin urgent tomorrow please quick'.split(
    ' ',
  )
  let state = 12345
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return state / 2 ** 32
  }
  const database = new DatabaseSync(path)
  database.exec(
    'CREATE TABLE t(id INTEGER PRIMARY KEY, mail TEXT, amount REAL, note TEXT, hash BLOB)',
  )
  database.exec('CREATE INDEX i ON t(mail)')
  const insert = database.prepare('INSERT INTO t(mail, amount, note, hash) VALUES (?, ?, ?, ?)')
  database.exec('BEGIN')
  for (let row = 0; row < 120_000; row++) {
    const note = Array.from(
      { length: 5 + random() * 20 },
      () => words[Math.floor(random() * words.length)],
    )
    const hash = Uint8Array.from({ length: 32 }, () => random() * 256)
    insert.run(
      `user${Math.floor(random() * 1e7)}@example.com`,
      random() * 1000,
      note.join(' '),
      hash,
    )
  }
  database.exec('COMMIT')
  database.close()
}

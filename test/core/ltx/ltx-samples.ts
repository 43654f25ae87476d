import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect } from 'vitest'
import { compressBlock, compressBound } from '../../../src/core/ltx/codec/lz4-block.ts'
import {
  CHECKSUM_FLAG,
  Crc64,
  encodeLtxHeader,
  FLAG_NO_CHECKSUM,
  LtxError,
  type LtxErrorCode,
  type LtxHeader,
  type LtxPage,
  txid,
} from '../../../src/core/ltx/index.ts'
import { PageIndexBuilder } from '../../../src/core/ltx/page-index.ts'

export const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] as const

/** A snapshot header of one 512-byte page without checksums, with changes. */
export function makeHeader(changes: Partial<LtxHeader> = {}): LtxHeader {
  return {
    flags: FLAG_NO_CHECKSUM,
    pageSize: 512,
    commit: 1,
    minTxid: txid(1),
    maxTxid: changes.minTxid ?? txid(1),
    timestamp: 1000,
    preApplyChecksum: 0n,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
    nodeId: 0n,
    ...changes,
  }
}

export function filled(pgno: number, value: number, size = 512): LtxPage {
  return { pgno, data: new Uint8Array(size).fill(value) }
}

/** Deterministic incompressible bytes. */
export function noise(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size)
  let state = seed
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}

/** Contents as they occur in databases: empty, text-like, incompressible, and mixtures of these. */
export function pageData(size: number): fc.Arbitrary<Uint8Array> {
  const text = fc
    .array(fc.constantFrom('order ', 'pending ', 'Zürich ', '0000', 'a'), { minLength: 1 })
    .map((words) => {
      return new Uint8Array(Buffer.alloc(size, words.join('')))
    })
  const random = fc.integer().map((seed) => noise(size, seed))
  const mixed = fc.tuple(text, random, fc.nat(size)).map(([a, b, cut]) => {
    const data = a.slice()
    data.set(b.subarray(cut), cut)
    return data
  })
  return fc.oneof(
    fc.nat(255).map((value) => new Uint8Array(size).fill(value)),
    text,
    random,
    mixed,
  )
}

export interface RawFrame {
  readonly pgno: number
  readonly data: Uint8Array
  readonly flags?: number
  /** What follows the page header; default: size field and LZ4 block. */
  readonly body?: Uint8Array
}

/**
 * Assembles a file whose checksum is right whatever else is wrong, so that a test can tell whether
 * a rule is enforced by itself.
 */
export function rawLtx(
  header: LtxHeader | Uint8Array,
  frames: readonly RawFrame[],
  parts: { index?: Uint8Array; postApplyChecksum?: bigint } = {},
): Uint8Array {
  const headerBytes = header instanceof Uint8Array ? header : encodeLtxHeader(header)
  const crc = new Crc64().update(headerBytes)
  const index = new PageIndexBuilder()
  const output: Uint8Array[] = [headerBytes]
  let offset = headerBytes.length
  for (const { pgno, data, flags = 1, body = blockBody(data) } of frames) {
    const prefix = new Uint8Array(6)
    new DataView(prefix.buffer).setUint32(0, pgno)
    new DataView(prefix.buffer).setUint16(4, flags)
    crc.update(prefix)
    if (flags & 1) crc.update(body.subarray(0, 4))
    crc.update(data)
    output.push(prefix, body)
    index.add(pgno, offset, prefix.length + body.length)
    offset += prefix.length + body.length
  }
  const end = new Uint8Array(6)
  const indexBytes = parts.index ?? index.finish()
  const trailer = new Uint8Array(16)
  const view = new DataView(trailer.buffer)
  view.setBigUint64(0, parts.postApplyChecksum ?? 0n)
  crc.update(end).update(indexBytes).update(trailer.subarray(0, 8))
  view.setBigUint64(8, CHECKSUM_FLAG | crc.digest())
  return concat([...output, end, indexBytes, trailer])
}

export function blockBody(data: Uint8Array): Uint8Array {
  const body = new Uint8Array(4 + compressBound(data.length))
  const end = compressBlock(data, body, 4)
  new DataView(body.buffer).setUint32(0, end - 4)
  return body.subarray(0, end)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** Like `toEqual`, and fast for pages. */
export function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) !== 0) expect([...actual]).toEqual([...expected])
}

export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

export function split(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
  return chunks
}

/** The code of the `LtxError` that `action` throws; anything else it throws is rethrown. */
export function errorCode(action: () => unknown): LtxErrorCode | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    if (error instanceof LtxError) return error.code
    throw error
  }
}

export async function asyncErrorCode(
  action: () => Promise<unknown>,
): Promise<LtxErrorCode | undefined> {
  try {
    await action()
    return undefined
  } catch (error) {
    if (error instanceof LtxError) return error.code
    throw error
  }
}

const FIXTURES = join(import.meta.dirname, '../../fixtures/ltx')

/** Files written by superfly/ltx: v0.5.1 for `frame`, 8cb8f8e for `block`. */
export function goldenFiles(): { encoding: 'frame' | 'block'; name: string; bytes: Uint8Array }[] {
  return (['frame', 'block'] as const).flatMap((encoding) => {
    const folder = join(FIXTURES, encoding === 'frame' ? 'frame-ltx-0.5.1' : 'block-ltx-head')
    return readdirSync(folder).map((file) => ({
      encoding,
      name: file.replace('.ltx', ''),
      bytes: new Uint8Array(readFileSync(join(folder, file))),
    }))
  })
}

export function golden(encoding: 'frame' | 'block', name: string): Uint8Array {
  const file = goldenFiles().find((file) => file.encoding === encoding && file.name === name)
  if (file === undefined) throw new Error(`There is no fixture ${encoding} ${name}.`)
  return file.bytes
}

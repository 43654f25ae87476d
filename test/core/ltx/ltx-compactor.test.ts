import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type CompactLtxOptions,
  compactLtx,
  decodeLtx,
  encodeLtx,
  FLAG_NO_CHECKSUM,
  type LtxHeader,
  type LtxPage,
  type TXID,
  txid,
} from '../../../src/core/ltx/index.ts'
import {
  asyncErrorCode,
  concat,
  filled,
  golden,
  makeHeader,
  noise,
  rawLtx,
  split,
} from './ltx-samples.ts'

async function* stream(bytes: Uint8Array, size = 64): AsyncGenerator<Uint8Array> {
  yield* split(bytes, size)
}

async function compact(
  files: readonly Uint8Array[],
  options?: CompactLtxOptions,
): Promise<Uint8Array> {
  return collect(
    compactLtx(
      files.map((bytes) => stream(bytes)),
      options,
    ),
  )
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return concat(parts)
}

function file(min: number, commit: number, pages: LtxPage[], changes: Partial<LtxHeader> = {}) {
  return encodeLtx(
    makeHeader({ minTxid: txid(min), maxTxid: txid(min), commit, ...changes }),
    pages,
  )
}

const summary = (bytes: Uint8Array) =>
  decodeLtx(bytes)
    .pages.map(({ pgno, data }) => `${pgno}:${data[0]}`)
    .join(' ')

describe('compactLtx', () => {
  it('takes the newest version of each page', async () => {
    const output = await compact([
      file(1, 3, [filled(1, 11), filled(2, 12), filled(3, 13)]),
      file(2, 3, [filled(2, 22)]),
      file(3, 4, [filled(2, 32), filled(4, 34)]),
    ])
    expect(summary(output)).toBe('1:11 2:32 3:13 4:34')
  })

  it('takes the header from the first and the last input', async () => {
    const wal = { walOffset: 32, walSize: 536, walSalt1: 1, walSalt2: 2 }
    const mark = { sequence: 1, checksum1: 2, checksum2: 3, bootId: 4 }
    const inputs = [
      file(5, 9, [filled(1, 1)], { timestamp: 100, nodeId: 7n, ...wal, walMark: mark }),
      file(6, 8, [filled(2, 2)], { maxTxid: txid(10), timestamp: 200, nodeId: 8n, ...wal }),
    ]
    const expected = makeHeader({ minTxid: txid(5), maxTxid: txid(10), commit: 8, timestamp: 200 })
    expect(decodeLtx(await compact(inputs)).header).toEqual(expected)
    const output = await compact(inputs, { timestamp: 300, nodeId: 9n })
    expect(decodeLtx(output).header).toEqual({ ...expected, timestamp: 300, nodeId: 9n })
  })

  it('writes no checksums, whatever the inputs have', async () => {
    const output = await compact([
      golden('frame', 'b-snapshot-512-1page-chk'),
      golden('block', 'g-incremental-chk'),
    ])
    const { header, trailer } = decodeLtx(output)
    expect(header).toMatchObject({ flags: FLAG_NO_CHECKSUM, preApplyChecksum: 0n })
    expect(trailer.postApplyChecksum).toBe(0n)
    expect(summary(output)).toBe('1:57')
  })

  it('writes either encoding', async () => {
    const inputs = [file(1, 1, [filled(1, 1)])]
    for (const encoding of ['block', 'frame'] as const) {
      const output = await compact(inputs, { encoding })
      expect(output).toEqual(encodeLtx(makeHeader(), [filled(1, 1)], { encoding }))
    }
  })

  it('keeps a single file as it is except for the fields it drops', async () => {
    const bytes = golden('block', 'c-incremental-512-wal-nochk')
    const { header, pages } = decodeLtx(bytes)
    const plain = { ...header, walOffset: 0, walSize: 0, walSalt1: 0, walSalt2: 0, nodeId: 0n }
    expect(await compact([bytes])).toEqual(encodeLtx(plain, pages))
  })

  it('drops pages above the final size', async () => {
    const output = await compact([
      file(1, 3, [filled(1, 1), filled(2, 2), filled(3, 3)]),
      file(2, 1, [filled(1, 4)]),
    ])
    expect(summary(output)).toBe('1:4')
  })

  it('does not revive pages that a shrink removed', async () => {
    const snapshot = file(1, 4, [filled(1, 1), filled(2, 2), filled(3, 3), filled(4, 4)])
    const shrink = file(2, 2, [])
    const grow = file(3, 4, [filled(3, 33), filled(4, 44)])
    expect(summary(await compact([snapshot, shrink, grow]))).toBe('1:1 2:2 3:33 4:44')
    const partial = file(3, 4, [filled(4, 44)])
    expect(await asyncErrorCode(() => compact([snapshot, shrink, partial]))).toBe('MissingPage')
    expect(await asyncErrorCode(() => compact([shrink, partial]))).toBe('MissingPage')
    const nothing = file(3, 4, [])
    expect(await asyncErrorCode(() => compact([snapshot, shrink, nothing]))).toBe('MissingPage')
    expect(await asyncErrorCode(() => compact([shrink, nothing]))).toBe('MissingPage')
  })

  it.each(['frame', 'block'] as const)('%s: notices growth without its pages', async (encoding) => {
    const inputs = [
      golden(encoding, 'a-snapshot-512-1page-nochk'),
      golden(encoding, 'j-grow-missing-page'),
    ]
    expect(await asyncErrorCode(() => compact(inputs))).toBe('MissingPage')
  })

  it('leaves growth before the first input to the file before it', async () => {
    expect(summary(await compact([file(2, 9, [filled(9, 9)])]))).toBe('9:9')
  })

  it.each<[string, [bigint, bigint][], boolean]>([
    [
      'contiguous',
      [
        [1n, 3n],
        [4n, 6n],
      ],
      true,
    ],
    [
      'overlapping',
      [
        [1n, 3n],
        [2n, 4n],
      ],
      true,
    ],
    [
      'with a gap',
      [
        [1n, 3n],
        [5n, 6n],
      ],
      false,
    ],
    [
      'covered',
      [
        [1n, 3n],
        [2n, 3n],
      ],
      false,
    ],
    [
      'the same twice',
      [
        [1n, 1n],
        [1n, 1n],
      ],
      false,
    ],
    [
      'in the wrong order',
      [
        [2n, 2n],
        [1n, 1n],
      ],
      false,
    ],
  ])('checks ranges: %s', async (_, ranges, ok) => {
    const inputs = ranges.map(([min, max]) =>
      encodeLtx(makeHeader({ minTxid: min as TXID, maxTxid: max as TXID }), [
        filled(1, Number(max)),
      ]),
    )
    expect(await asyncErrorCode(() => compact(inputs))).toBe(ok ? undefined : 'NotContiguous')
  })

  it('accepts gaps when told to', async () => {
    const inputs = [file(1, 1, [filled(1, 1)]), file(9, 1, [filled(1, 9)])]
    expect(summary(await compact(inputs, { allowNonContiguous: true }))).toBe('1:9')
  })

  it('refuses no inputs, mixed page sizes and an empty database', async () => {
    expect(await asyncErrorCode(() => compact([]))).toBe('InvalidArgument')
    const other = encodeLtx(makeHeader({ minTxid: txid(2), pageSize: 1024 }), [])
    expect(await asyncErrorCode(() => compact([file(1, 1, [filled(1, 1)]), other]))).toBe(
      'PageSizeMismatch',
    )
    const empty = golden('block', 'd-commit0-chk')
    expect(await asyncErrorCode(() => compact([empty]))).toBe('Unencodable')
  })

  it('verifies every input to its end', async () => {
    const first = file(1, 2, [filled(1, 1), filled(2, 2)])
    const second = file(2, 1, [filled(1, 3)])
    const inputs = [first, second]
    for (const damaged of [0, 1]) {
      for (const kind of ['cut', 'flipped', 'extended'] as const) {
        const files = inputs.slice()
        const bytes = files[damaged]!
        if (kind === 'cut') files[damaged] = bytes.subarray(0, -1)
        if (kind === 'extended') files[damaged] = concat([bytes, Uint8Array.of(0)])
        if (kind === 'flipped') {
          files[damaged] = bytes.slice()
          files[damaged]![bytes.length - 1]! ^= 1
        }
        const expected = {
          cut: 'Truncated',
          flipped: 'ChecksumMismatch',
          extended: 'TrailingBytes',
        }
        expect(await asyncErrorCode(() => compact(files))).toBe(expected[kind])
      }
    }
    const unordered = rawLtx(makeHeader({ minTxid: txid(2), commit: 2 }), [
      filled(2, 2),
      filled(1, 1),
    ])
    expect(await asyncErrorCode(() => compact([first, unordered]))).toBe('OutOfOrder')
  })

  it('names the input that is damaged', async () => {
    const inputs = [file(1, 1, [filled(1, 1)]), new Uint8Array(200)]
    await expect(compact(inputs)).rejects.toThrow(/^Input 2: .*magic/)
  })

  it('closes all inputs: at the end, after an error, and when the reader stops', async () => {
    const opened: number[] = []
    const closed: number[] = []
    const tracked = async function* (id: number, bytes: Uint8Array) {
      opened.push(id)
      try {
        yield* split(bytes, 50)
      } finally {
        closed.push(id)
      }
    }
    const big = Array.from({ length: 900 }, (_, at) => ({ pgno: at + 1, data: noise(512, at) }))
    const first = file(1, 900, big)
    const run = (second: Uint8Array) => compactLtx([tracked(1, first), tracked(2, second)])

    await collect(run(file(2, 900, [])))
    expect(closed.sort()).toEqual([1, 2])

    const damaged = file(2, 900, [filled(1, 1)]).subarray(0, -1)
    expect(await asyncErrorCode(() => collect(run(damaged)))).toBe('Truncated')
    expect(closed.sort()).toEqual([1, 1, 2, 2])

    for await (const _ of run(file(2, 900, [filled(900, 1)]))) {
      expect(closed).toHaveLength(4)
      break
    }
    expect(closed.sort()).toEqual([1, 1, 1, 2, 2, 2])
    expect(opened.sort()).toEqual(closed)
  })

  it('stops with the reason of an aborted signal, and closes its inputs', async () => {
    const controller = new AbortController()
    const reason = new Error('stop')
    let closed = false
    const input = async function* () {
      try {
        yield* split(file(1, 1, [filled(1, 1)]), 110)
        controller.abort(reason)
        yield new Uint8Array(0)
      } finally {
        closed = true
      }
    }
    const output = compactLtx([input()], { signal: controller.signal })
    await expect(collect(output)).rejects.toBe(reason)
    expect(closed).toBe(true)
  })

  it('passes on the error of an input', async () => {
    const failure = new Error('connection reset')
    const input = async function* (): AsyncGenerator<Uint8Array> {
      yield file(1, 1, [filled(1, 1)]).subarray(0, 120)
      throw failure
    }
    await expect(collect(compactLtx([input()]))).rejects.toBe(failure)
  })
})

interface Step {
  readonly commit: number
  /** Pages written besides those of growth; bit n for page n. */
  readonly changed: number
  /** Pages of growth that are left out; bit n for page n. */
  readonly omitted: number
}

const MAX_PAGES = 7
const step = (omit: boolean): fc.Arbitrary<Step> =>
  fc.record({
    commit: fc.integer({ min: 1, max: MAX_PAGES }),
    changed: fc.nat(255),
    omitted: omit ? fc.nat(255).map((bits) => bits & 0b10100) : fc.constant(0),
  })

/** Files of a history on top of a database of `base` pages, which its snapshot creates if it is 0. */
function history(steps: readonly Step[], base: number): Uint8Array[] {
  let size = base
  return steps.map(({ commit, changed, omitted }, at) => {
    const pages: LtxPage[] = []
    for (let pgno = 1; pgno <= commit; pgno++) {
      const grows = pgno > size
      const wanted = grows ? at === 0 || !(omitted & (1 << pgno)) : changed & (1 << pgno)
      if (wanted) pages.push(filled(pgno, 16 * (at + 1) + pgno))
    }
    size = commit
    return file(base === 0 ? at + 1 : at + 2, commit, pages)
  })
}

/** The database after applying files one after another; undefined if a page was never written. */
function apply(files: readonly Uint8Array[], base: number): string | undefined {
  const database = new Map<number, number>()
  for (let pgno = 1; pgno <= base; pgno++) database.set(pgno, pgno)
  let commit = base
  for (const bytes of files) {
    const { header, pages } = decodeLtx(bytes, { lenient: true })
    commit = header.commit
    for (const { pgno, data } of pages) database.set(pgno, data[0]!)
    for (const pgno of database.keys()) if (pgno > commit) database.delete(pgno)
  }
  if (database.size !== commit) return undefined
  return [...database].sort(([a], [b]) => a - b).join(' ')
}

describe('compaction against a model of the database', () => {
  it('has the effect of its inputs, wherever the history starts and is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step(false), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(0, 4),
        fc.nat(5),
        async (steps, base, cut) => {
          const files = history(steps, base)
          const expected = apply(files, base)
          expect(expected).toBeDefined()
          const whole = await compact(files)
          expect(apply([whole], base)).toBe(expected)
          const at = cut % files.length
          const parts = [files.slice(0, at), files.slice(at)].filter((part) => part.length > 0)
          const compacted = await Promise.all(parts.map((part) => compact(part)))
          expect(apply(compacted, base)).toBe(expected)
          expect(await compact(compacted)).toEqual(whole)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('fails for a snapshot exactly when the model lacks a page', async () => {
    let failures = 0
    let successes = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step(true), { minLength: 1, maxLength: 6 }), async (steps) => {
        const files = history(steps, 0)
        const expected = apply(files, 0)
        if (expected === undefined) {
          failures++
          expect(await asyncErrorCode(() => compact(files))).toBe('MissingPage')
        } else {
          successes++
          expect(apply([await compact(files)], 0)).toBe(expected)
        }
      }),
      { numRuns: 500 },
    )
    expect(failures).toBeGreaterThan(30)
    expect(successes).toBeGreaterThan(30)
  })

  it('never revives a page of any larger database that came before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step(true), { minLength: 2, maxLength: 6 }), async (steps) => {
        const files = history(steps, MAX_PAGES)
        const output: Uint8Array[] = []
        const code = await asyncErrorCode(async () => output.push(await compact(files)))
        if (code === undefined) expect(apply(output, MAX_PAGES)).toBe(apply(files, MAX_PAGES))
        else expect(code).toBe('MissingPage')
      }),
      { numRuns: 300 },
    )
  })
})

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ReplicaCatalogue } from '../../../../src/core/engine/upkeep/replica-catalogue.ts'
import { type TXID, txid } from '../../../../src/core/ltx/index.ts'
import { compareFiles, type LtxFileInfo } from '../../../../src/core/replica/replica-client.ts'
import { ltxKey } from '../../../../src/core/replica/replica-layout.ts'
import { summarizeReplica } from '../../../../src/core/replica/summarize-replica.ts'
import { fileAt, names, START } from '../../retention/listing.ts'

const file: fc.Arbitrary<LtxFileInfo> = fc
  .record({
    level: fc.nat(9),
    first: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant(2 ** 60)),
    length: fc.nat(3),
    size: fc.nat(1e12),
    createdAt: fc.option(fc.nat(1e12), { nil: undefined }),
    lastModified: fc.nat(1e12),
  })
  .map(({ level, first, length, size, createdAt, lastModified }) => {
    const minTxid = txid(BigInt(first))
    const maxTxid = txid(minTxid + BigInt(length))
    return {
      level,
      minTxid,
      maxTxid,
      key: ltxKey('hex', level, minTxid, maxTxid),
      size,
      createdAt: createdAt === undefined ? undefined : new Date(createdAt),
      lastModified: new Date(lastModified),
    }
  })

type Change =
  | { readonly kind: 'add'; readonly file: LtxFileInfo }
  | { readonly kind: 'observe' | 'remove'; readonly files: readonly LtxFileInfo[] }

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('add' as const), file }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('remove' as const), files: fc.array(file) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('observe' as const), files: fc.array(file) }),
  },
)

describe('ReplicaCatalogue', () => {
  it('holds what a listing would show, through any changes', () => {
    void fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const catalogue = new ReplicaCatalogue('hex')
        const model = new Map<string, LtxFileInfo>()
        for (const change of changes) {
          const { version } = catalogue
          const before = model.size
          if (change.kind === 'add') {
            catalogue.add(change.file)
            model.set(change.file.key, change.file)
          } else if (change.kind === 'remove') {
            catalogue.remove(change.files)
            for (const { key } of change.files) model.delete(key)
          } else {
            catalogue.loadListing(change.files)
            model.clear()
            for (const file of change.files) model.set(file.key, file)
          }
          const changed = change.kind !== 'remove' || model.size !== before
          expect(catalogue.version > version).toBe(changed)
        }
        const files = [...model.values()].sort(compareFiles)
        expect(catalogue.files).toEqual(files)
        expect(catalogue.count).toBe(files.length)
        expect(catalogue.bytes).toBe(files.reduce((sum, { size }) => sum + size, 0))
      }),
      { numRuns: 500 },
    )
  })

  it('keeps the largest TXIDs exactly', () => {
    const catalogue = new ReplicaCatalogue('ltx')
    const last = (2n ** 64n - 1n) as TXID
    const big = { ...fileAt(0, 1, 1, START), minTxid: last, maxTxid: last }
    catalogue.add({ ...big, key: ltxKey('ltx', 0, last, last) })
    expect(catalogue.files[0]).toEqual({ ...big, key: ltxKey('ltx', 0, last, last) })
  })

  it('sums up the replica anew only when it has changed', () => {
    const catalogue = new ReplicaCatalogue('ltx')
    catalogue.loadListing([fileAt(9, 1, 1, START), fileAt(0, 2, 2, START)])
    const { summary } = catalogue
    expect(summary).toEqual(summarizeReplica(catalogue.files))
    expect(catalogue.summary).toBe(summary)
    catalogue.add(fileAt(0, 3, 3, START))
    expect(catalogue.summary.restorable).toEqual({ from: 1n, to: 3n })
    expect(names(catalogue.files)).toEqual(['0:2-2', '0:3-3', '9:1-1'])
  })

  it('takes 40 bytes per file, and little for a small replica', () => {
    const before = memory()
    const catalogues = Array.from({ length: 1000 }, () => {
      const catalogue = new ReplicaCatalogue('ltx')
      for (let n = 2; n <= 41; n++) catalogue.add(fileAt(0, n, n, START))
      catalogue.add(fileAt(9, 1, 1, START))
      return catalogue
    })
    const each = (memory() - before) / catalogues.length
    expect(catalogues.reduce((sum, { count }) => sum + count, 0)).toBe(41_000)
    // The plain objects of 41 files take more than 12 kB.
    expect(each).toBeLessThan(6000)
  })
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function memory(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { txid } from '../../../../src/core/ltx/index.ts'
import { parseLtxKey } from '../../../../src/core/replica/replica-layout.ts'
import {
  type EndRecord,
  type EpochKind,
  type EpochObject,
  epochKey,
  parseEpochKey,
} from '../../../../src/core/replica/writer-claim/claim-records.ts'
import {
  claimState,
  decideContention,
  decideStart,
  epochOf,
  expiredEpochs,
  FRESH_MS,
  firstFile,
  firstStaleSlot,
  freshnessCheck,
  isCurrent,
  LONG_MS,
  nodeIdOf,
  OLD_MS,
  PROTECT_MS,
  protectedSlots,
} from '../../../../src/core/replica/writer-claim/claim-rules.ts'

const NOW = Date.UTC(2026, 0, 31)

function object(epoch: number, kind: EpochKind, ageMs = 0): EpochObject {
  return { epoch, kind, key: epochKey(epoch, kind), lastModified: new Date(NOW - ageMs) }
}

function end(fields: Partial<EndRecord>): EndRecord {
  return { epoch: 1, by: 'successor', at: new Date(NOW), ...fields }
}

describe('epoch keys', () => {
  it('round-trip, and are not LTX keys of either layout', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 0xffff_fffe }),
        fc.constantFrom<EpochKind>('claim', 'end', 'unlock'),
        (epoch, kind) => {
          const key = epochKey(epoch, kind)
          expect(parseEpochKey(key)).toEqual({ epoch, kind })
          expect(parseLtxKey('ltx', key)).toBeUndefined()
          expect(parseLtxKey('hex', key)).toBeUndefined()
        },
      ),
    )
  })

  it.each([
    'walsync/epochs/0000000000000000.claim',
    'walsync/epochs/00000000ffffffff.claim',
    'walsync/epochs/1.claim',
    'walsync/epochs/000000000000000A.claim',
    'walsync/epochs/0000000000000001.claims',
    'x/walsync/epochs/0000000000000001.claim',
  ])('%s is none', (key) => {
    expect(parseEpochKey(key)).toBeUndefined()
  })

  it.each([0, -1, 1.5, 0xffff_ffff])('refuse epoch %s', (epoch) => {
    expect(() => epochKey(epoch, 'claim')).toThrow(RangeError)
  })
})

describe('NodeIDs', () => {
  it('carry the epoch, and 0 for a writer without one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff_fffe }),
        fc.integer({ min: 1, max: 0xffff_ffff }),
        (epoch, random) => {
          expect(epochOf(nodeIdOf(epoch, random))).toBe(epoch)
        },
      ),
    )
    expect(epochOf(0n)).toBe(0)
    expect(nodeIdOf(1, 0xffff_ffff)).toBe(0x1_ffff_ffffn)
  })
})

describe('decideStart', () => {
  const objects = [
    object(1, 'claim'),
    object(1, 'end'),
    object(2, 'claim'),
    object(3, 'claim'),
    object(3, 'unlock'),
    object(4, 'claim'),
    object(4, 'end'),
  ]

  it('sees the newest claim, those without an end, and those that stop a strict writer', () => {
    expect(claimState([])).toEqual({ newest: 0, unreleased: [], locked: [] })
    expect(claimState(objects)).toEqual({ newest: 4, unreleased: [2, 3], locked: [2] })
    // Of a claim that somebody deleted the end still counts.
    expect(claimState([object(7, 'end')]).newest).toBe(7)
  })

  it('claims the next epoch', () => {
    expect(decideStart(claimState([]), 0, 'newest')).toEqual({ kind: 'claim', epoch: 1 })
    expect(decideStart(claimState(objects), 0, 'newest')).toEqual({ kind: 'claim', epoch: 5 })
    expect(decideStart(claimState(objects), 4, 'newest')).toEqual({ kind: 'claim', epoch: 5 })
  })

  it('claims an epoch above that of the newest file when the claims are gone, unless that is implausible', () => {
    expect(decideStart(claimState([]), 9, 'newest')).toEqual({ kind: 'claim', epoch: 10 })
    expect(decideStart(claimState([]), 0x9abc_def0, 'newest')).toEqual({ kind: 'claim', epoch: 1 })
  })

  it('refuses a strict writer while a claim has neither an end nor an unlock', () => {
    expect(decideStart(claimState(objects), 0, 'strict')).toEqual({ kind: 'refuse', epoch: 2 })
    const free = claimState([object(1, 'claim'), object(1, 'unlock')])
    expect(decideStart(free, 0, 'strict')).toEqual({ kind: 'claim', epoch: 2 })
    // The writer behind it is fenced all the same.
    expect(free.unreleased).toEqual([1])
  })
})

describe('decisions about other writers', () => {
  it('a claim is current until a newer one is seen', () => {
    expect([0, 1, 2, 3].map((newest) => isCurrent(2, newest))).toEqual([true, true, true, false])
  })

  it.each([
    [0, 0, 'prove-or-stop'],
    [0, 7, 'prove-or-stop'],
    [7, 0, 'prove-or-stop'],
    [7, 6, 'prove-or-base'],
    [7, 7, 'fenced'],
    [7, 8, 'fenced'],
  ])('epoch %i meets a file of epoch %i: %s', (mine, found, decision) => {
    expect(decideContention(mine, found)).toBe(decision)
  })

  it('the first file is a base without proof, a fence against older writers, and otherwise none', () => {
    expect(firstFile(false, true)).toBe('base')
    expect(firstFile(false, false)).toBe('base')
    expect(firstFile(true, true)).toBe('fence')
    expect(firstFile(true, false)).toBe('none')
  })

  it('nothing is checked within a minute, then the next claim, and all claims after a day', () => {
    expect(freshnessCheck(FRESH_MS)).toBe('none')
    expect(freshnessCheck(FRESH_MS + 1)).toBe('next')
    expect(freshnessCheck(LONG_MS)).toBe('next')
    expect(freshnessCheck(LONG_MS + 1)).toBe('all')
    expect(freshnessCheck(Number.NaN)).not.toBe('none')
  })
})

describe('protected slots', () => {
  it("are only that of the take-over if the fenced writer's file is right before it", () => {
    expect(firstStaleSlot(3, 3, txid(10))).toBe(10n)
    expect(firstStaleSlot(3, 2, txid(100))).toBe(68n)
    expect(firstStaleSlot(3, undefined, txid(10))).toBe(1n)
  })

  it('stay protected for seven days', () => {
    const ends = [
      end({ slot: txid(10), from: txid(10) }),
      end({ slot: txid(20), from: txid(18), at: new Date(NOW - PROTECT_MS) }),
      end({ slot: txid(30), at: new Date(NOW - PROTECT_MS - 1) }),
      end({ by: 'writer' }),
    ]
    expect(protectedSlots(ends, NOW)).toEqual([10n, 18n, 19n, 20n])
  })

  it('are few, whatever an end record says', () => {
    const slot = txid(2n ** 60n)
    expect(protectedSlots([end({ slot, from: txid(1) })], NOW)).toHaveLength(33)
    expect(protectedSlots([end({ slot: txid(5), from: txid(9) })], NOW)).toEqual([])
  })
})

describe('expired epochs', () => {
  const old = OLD_MS + 1
  const both = (epoch: number, age: number) => [
    object(epoch, 'claim', age),
    object(epoch, 'end', age),
  ]

  it('are all old ones but the newest three and those without an end', () => {
    const objects = [
      ...both(1, old),
      object(2, 'claim', old),
      ...[3, 4, 5, 6].flatMap((e) => both(e, old)),
    ]
    expect(expiredEpochs(objects, new Date(NOW)).map(({ epoch }) => epoch)).toEqual([1, 1, 3, 3])
  })

  it('are none of which any object is younger', () => {
    const objects = [
      object(1, 'claim', old),
      object(1, 'end'),
      ...[2, 3, 4].flatMap((e) => both(e, 0)),
    ]
    expect(expiredEpochs(objects, new Date(NOW))).toEqual([])
  })

  it('are those older than a day once there are a thousand newer ones, so that listings stay short', () => {
    const day = LONG_MS + 1
    const objects = Array.from({ length: 1005 }, (_, i) => both(i + 1, i < 3 ? day : 0)).flat()
    const gone = expiredEpochs(objects, new Date(NOW)).map(({ epoch }) => epoch)
    expect(gone).toEqual([1, 1, 2, 2, 3, 3])
    expect(expiredEpochs(objects.slice(10), new Date(NOW))).toEqual([])
  })

  it("are old by the store's clock alone", () => {
    const objects = [1, 2, 3, 4].flatMap((e) => both(e, old))
    expect(expiredEpochs(objects, new Date(NOW - old))).toEqual([])
    expect(expiredEpochs(objects, new Date(NOW))).toHaveLength(2)
  })
})

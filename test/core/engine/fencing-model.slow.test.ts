import { describe, expect, it } from 'vitest'
import * as rules from '../../../src/core/replica/writer-claim/claim-rules.ts'
import { type Exploration, explore } from '../../support/explore.ts'
import { type Budget, fencingModel, type Setting } from './fencing-model.ts'

const NOTHING: Budget = {
  commits: 0,
  starts: 0,
  crashes: 0,
  stops: 0,
  prunes: 0,
  hours: 0,
  weeks: 0,
  oneShots: 0,
}
const SHARED = ['a', 'a']
const COPIES = ['a', 'b']
/** WALSYNC_MODEL=deep explores more of everything: minutes, and some gigabytes. */
const isDeep = process.env.WALSYNC_MODEL === 'deep'

const DEEP: readonly (readonly [string, readonly string[], Partial<Budget>, number])[] = [
  ['three of two copies', ['a', 'b', 'b'], { commits: 2, starts: 3, prunes: 1, hours: 1 }, 70_000],
  [
    'three of three copies',
    ['a', 'b', 'c'],
    { commits: 1, starts: 4, crashes: 1, prunes: 1, hours: 1 },
    100_000,
  ],
]

function run(
  databases: readonly string[],
  budget: Partial<Budget>,
  weak?: Setting['weak'],
): Exploration {
  const setting = { databases, budget: { ...NOTHING, ...budget }, ...(weak && { weak }) }
  return explore(fencingModel(setting), isDeep ? 12_000_000 : 200_000)
}

describe('every interleaving of writers', () => {
  const more = isDeep ? 1 : 0
  const settings: readonly (readonly [string, readonly string[], Partial<Budget>, number])[] = [
    [
      'of one database that crash, stop and start again',
      SHARED,
      { commits: 1 + more, starts: 3, crashes: 1, stops: 1, prunes: 1, hours: 1 },
      50_000,
    ],
    [
      'of two copies that crash, stop and start again',
      COPIES,
      { commits: 1 + more, starts: 3, crashes: 1, stops: 1, prunes: 1, hours: 1 },
      80_000,
    ],
    [
      'of one database, paused for so long that nothing is protected any more',
      SHARED,
      { commits: 2, starts: 2 + more, crashes: 1, prunes: 1, hours: 1, weeks: 1 },
      40_000,
    ],
    [
      'of two copies, paused for so long that nothing is protected any more',
      COPIES,
      { commits: 2, starts: 2 + more, crashes: more, prunes: 1, hours: 1, weeks: 1 },
      5000,
    ],
    [
      'of one database, and a snapshot without a claim between them',
      SHARED,
      { commits: 1, starts: 2 + more, crashes: more, prunes: 1, hours: 1, oneShots: 1 },
      5000,
    ],
    [
      'of two copies, and a snapshot without a claim between them',
      COPIES,
      { commits: 1, starts: 2 + more, crashes: more, prunes: 1, hours: 1, oneShots: 1 },
      5000,
    ],
    [
      'three of one database',
      ['a', 'a', 'a'],
      { commits: 1 + more, starts: 3, prunes: 1, hours: 1 },
      30_000,
    ],
    ...(isDeep ? DEEP : []),
  ]
  it.each(settings)('%s', (name, databases, budget, atLeast) => {
    const { states, depth, steps, fault } = run(databases, budget)
    if (isDeep) console.log(`${name}: ${states} states, ${depth} steps deep`)
    expect(fault).toBeUndefined()
    expect(states).toBeGreaterThan(atLeast)
    // Not only the quiet ways were gone.
    for (const kind of ['prunes', 'finds', 'asks', 'loses']) expect(steps[kind]).toBeGreaterThan(50)
  })
})

describe('the model can see', () => {
  const usual = { commits: 2, starts: 2, prunes: 1, hours: 1 }
  const holes: readonly (readonly [string, Partial<Budget>, Setting['weak'], RegExp])[] = [
    [
      'an older writer that goes on because the newer one wrote no fence',
      usual,
      { firstFile: (proven) => (proven ? 'none' : 'base') },
      /^epoch 1 wrote slot \d after epoch 2 had begun$/,
    ],
    [
      'an older writer that does not look whether its claim still counts',
      usual,
      { isCurrent: () => true },
      /had begun$/,
    ],
    [
      'a stale file in a slot that was pruned because it was not protected',
      usual,
      { protectedSlots: () => [] },
      /^slot \d holds two contents$/,
    ],
    [
      'the same acknowledged where nothing is asked after the put',
      usual,
      { protectedSlots: () => [], noConfirm: true },
      /^epoch 1 acknowledged a stale slot/,
    ],
    [
      'the same after a week, when no slot is protected',
      { ...usual, hours: 0, weeks: 1 },
      { noConfirm: true },
      /^epoch 1 acknowledged a stale slot/,
    ],
    [
      'a writer that never asks',
      { ...usual, hours: 0, weeks: 1 },
      { freshnessCheck: () => 'none' },
      /acknowledged a stale slot/,
    ],
    [
      'a slot behind the older writer that a snapshot without a claim took',
      { commits: 1, starts: 2, prunes: 1, hours: 1, oneShots: 1 },
      { firstStaleSlot: (_epoch, _before, slot) => slot },
      /holds two contents$/,
    ],
    [
      'a claim made long after the look that it rests on',
      usual,
      { noSecondLook: true },
      /acknowledged a stale slot/,
    ],
    [
      'an end that is written before the last file',
      { ...usual, stops: 1 },
      { earlyEnd: true },
      /had begun$|holds two contents$/,
    ],
    [
      'an older claim that is forgotten because only the newest is looked at',
      { ...usual, starts: 3, crashes: 1, stops: 1 },
      {
        claimState: (objects) => {
          const state = rules.claimState(objects)
          const unreleased = state.unreleased.filter((epoch) => epoch === state.newest)
          return { ...state, unreleased }
        },
      },
      /had begun$|holds two contents$/,
    ],
    [
      'two writers with one epoch',
      { ...usual, starts: 3 },
      { overwritesClaims: true },
      /holds two contents$|acknowledged a stale slot|wrote again$/,
    ],
  ]
  for (const [what, budget, weak, fault] of holes) {
    it(what, () => {
      for (const databases of [SHARED, COPIES]) {
        const found = run(databases, budget, weak).fault
        expect(found?.what).toMatch(fault)
        expect(found?.trace.length).toBeGreaterThan(4)
      }
    })
  }

  it('a history that is continued by another one', () => {
    const found = run(COPIES, usual, {
      decideContention: () => 'prove-or-base',
      isCurrent: () => true,
    })
    expect(found.fault).toBeDefined()
  })
})

describe('an exploration', () => {
  const counter = (limit: number) => ({
    initial: 0,
    key: String,
    *next(state: number) {
      if (state < limit) yield [`x adds`, state + 1] as const
      if (state > 0) yield [`x takes`, state - 1] as const
    },
    fault: (state: number) => (state === 7 ? 'seven' : undefined),
  })

  it('reaches every state once, and the shortest way to a fault', () => {
    expect(explore(counter(6), 100)).toMatchObject({ states: 7, depth: 6, fault: undefined })
    expect(explore(counter(9), 100).fault).toEqual({
      what: 'seven',
      trace: Array(7).fill('x adds'),
    })
  })

  it('that is not complete is an error', () => {
    expect(() => explore(counter(6), 5)).toThrow(/more than 5 states/)
  })
})

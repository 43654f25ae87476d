import { describe, expect, it } from 'vitest'
import { explore } from '../../support/explore.ts'
import { type HandOverRules, handOverModel } from './hand-over-model.ts'

const RULES: HandOverRules = {
  watchers: 2,
  commits: 3,
  slots: 4,
  hasLock: true,
  claimNamesFile: true,
  takeOver: true,
  pauses: true,
  provesPosition: true,
}
const LIMIT = 300_000

describe('the hand-over model', () => {
  it('finds no stopped application, no full copy and no older page over a newer one', () => {
    const { fault, states, steps } = explore(handOverModel(RULES), LIMIT)
    expect(fault).toBeUndefined()
    expect(states).toBeGreaterThan(500)
    for (const kind of ['locks', 'forces', 'fenced', 'ships', 'dies', 'pauses', 'wakes']) {
      expect(steps[kind], kind).toBeGreaterThan(0)
    }
  })

  it('fences nobody while no one takes over by force', () => {
    const peaceful = { ...RULES, takeOver: false }
    const { fault, steps } = explore(handOverModel(peaceful), LIMIT)
    expect(fault).toBeUndefined()
    expect(steps.fenced ?? 0).toBe(0)
    // The lock alone sees to that.
    const unlocked = explore(handOverModel({ ...peaceful, hasLock: false }), LIMIT)
    expect(unlocked.steps.fenced).toBeGreaterThan(0)
  })

  it.each([
    [
      'the lock and the name of the file in the claim',
      { hasLock: false, claimNamesFile: false },
      'an application was stopped',
    ],
    ['the name of the file in the claim', { claimNamesFile: false }, 'an application was stopped'],
    ['the proof of the position', { provesPosition: false }, 'a full copy was taken'],
  ] as const)('finds a fault without %s', (_, change, what) => {
    const { fault } = explore(handOverModel({ ...RULES, ...change }), LIMIT)
    expect(fault?.what).toBe(what)
  })
})

import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { EngineDatabase } from '../../../src/core/engine/index.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { expectLatest, fill, open, Shared } from '../../support/fencing-rig.ts'
import type { ReplicaRig } from '../../support/replica-rig.ts'

describe('the single-writer option', () => {
  const started = async (rig: ReplicaRig, singleWriter: EngineDatabase['singleWriter']) =>
    await rig.start({ singleWriter }).then(
      () => 'began',
      (error: { code: string }) => error.code,
    )

  it('strict refuses to start while there is a claim, which a clean end releases', async () => {
    await using shared = new Shared()
    const [one, two] = [shared.rig(), shared.rig()]
    const [db, other] = [open(one), open(two)]
    fill(db)
    fill(other)
    expect(await started(one, 'strict')).toBe('began')
    const { length } = shared.puts
    expect(await started(two, 'strict')).toBe('ClaimHeld')
    expect(shared.puts).toHaveLength(length)
    await two.kill()
    await one.synced()
    await one.stop()
    expect(await started(two, 'strict')).toBe('began')
    await two.synced()
    await two.stop()
    await expectLatest(two, other)
    db.close()
    other.close()
  })

  it('none makes no claim and recognises other writers only by the history', async () => {
    await using shared = new Shared()
    shared.hooks.capabilities = { ifAbsent: 'none' }
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    expect(await started(rig, 'none')).toBe('began')
    await rig.synced()
    await rig.stop()
    expect(await shared.epochs()).toEqual([])
    expect(await shared.slots()).toEqual(['1:0:full'])
    await expectLatest(rig, db)
    db.close()
  })

  it('newest is refused on a store without conditional writes before anything is written', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    shared.hooks.capabilities = { ifAbsent: 'none' }
    expect(await started(rig, 'newest')).toBe('Unsupported')
    expect(shared.puts).toEqual([])
    await rig.kill()
    shared.hooks.capabilities = {}
    shared.hooks.ignoresConditions = true
    expect(await started(rig, 'newest')).toBe('Unsupported')
    await rig.kill()
    for await (const { key } of shared.store.list()) throw new Error(`${key} was left`)
    db.close()
  })

  it('strict claims the replica of an unreachable store once the store is back', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    shared.hooks.put = async () => {
      throw new StoreError('Unavailable', 'away', { op: 'put' })
    }
    expect(await started(rig, 'strict')).toBe('began')
    await delay(20)
    expect(await shared.epochs()).toEqual([])
    shared.hooks.put = undefined
    await rig.synced()
    expect(await shared.epochs()).toEqual(['1.claim'])
    await rig.stop()
    await expectLatest(rig, db)
    db.close()
  })
})

import { describe, expect, it } from 'vitest'
import { OpenFailures } from '../../../src/cli/notify/open-failures.ts'
import { TROUBLES, troublesOf } from '../../../src/cli/notify/trouble.ts'
import { needsAttention } from '../../../src/cli/status/readiness.ts'
import type { FleetEvent } from '../../../src/cli/watch/fleet-event.ts'
import type { FleetStatus } from '../../../src/cli/watch/fleet-status.ts'
import { CHAIN_BROKEN, type EngineEvent } from '../../../src/core/engine/events.ts'
import {
  type DatabaseStatus,
  ReplicationStatus,
} from '../../../src/core/engine/replication-status.ts'
import { ReplicaError } from '../../../src/core/replica/replica-error.ts'
import { StoreError } from '../../../src/core/store/index.ts'

const path = '/srv/app.db'
const away = new StoreError('Unavailable', 'The store does not answer.', { op: 'put' })
const measured = { path, isOpen: true, pendingFiles: 0, walBytes: 0, spoolBytes: 0, lagMs: 0 }
const replica = { replicaFiles: 1, replicaBytes: 1, restorable: undefined }

/** A database that has gone through these events, as a watcher sees it. */
function after(events: readonly object[], own: Partial<FleetStatus> = {}, lagMs = 0) {
  const failures = new OpenFailures()
  const status = new ReplicationStatus('app', () => undefined)
  status.replicating(undefined)
  for (const each of events) {
    const event = { database: 'app', retryInMs: 1, ...each } as EngineEvent
    if (event.type === 'fenced') status.fenced(event.error)
    else status.record(event)
    failures.note(event as FleetEvent)
  }
  const engine: DatabaseStatus = { ...status.report({ ...measured, ...replica, lagMs }) }
  const { state } = engine
  const database: FleetStatus = { name: 'app', path, replica: 's3://b/app', state, engine, ...own }
  const sources = { maxLagMs: 1000, failureOf: (name: string) => failures.worst(name) }
  const found = troublesOf(database, { ...sources, storeOf: () => 's3://b' })
  return { database, kinds: found.map(({ kind }) => kind), found }
}

const upload = { type: 'store-error', during: 'upload', error: away }
const damage = { type: 'damage-found', verdict: 'damaged', defects: [{ message: 'gone' }] }
const drillFailed = { type: 'drill-failed', failures: ['Assertion failed: SELECT 0: found 0'] }
const verified = (defects: number) => ({ type: 'verified', verdict: 'good', files: 1, defects })
const wrong = new ReplicaError('DamagedObject', 'k', 'It is no LTX file.')

describe('trouble', () => {
  it.each([
    ['nothing', [], []],
    ['a store that does not answer', [upload], ['store-outage']],
    ['a store that answers again', [upload, { type: 'synced' }], []],
    [
      'an upkeep that the store refuses',
      [{ type: 'maintenance-error', error: away }],
      ['store-outage'],
    ],
    [
      'a database that is locked',
      [{ type: 'database-error', during: 'replication', error: new Error('locked') }],
      ['database-failing'],
    ],
    [
      'a spool that cannot be written',
      [{ type: 'spool-failed', error: new Error('full') }],
      ['database-failing'],
    ],
    ['damage that a verification found', [verified(1), damage], ['replica-damaged']],
    ['a restore drill that failed', [drillFailed], ['drill-failed']],
    ['a restore drill that passes again', [drillFailed, { type: 'drill-passed' }], []],
    [
      'a restore drill that the store refuses',
      [{ type: 'drill-not-run', error: away }],
      ['store-outage'],
    ],
    ['damage that is mended', [verified(1), damage, verified(0)], []],
    [
      'an object that is not what it was',
      [{ type: 'store-error', during: 'replication', error: wrong }],
      ['replica-damaged'],
    ],
    ['a broken chain', [{ type: 'chain-broken', reason: CHAIN_BROKEN }], ['replica-damaged']],
    [
      'a broken chain and its snapshot',
      [{ type: 'chain-broken', reason: CHAIN_BROKEN }, { type: 'snapshot' }],
      [],
    ],
    ['another writer', [{ type: 'fenced', error: new Error('taken') }], ['fenced']],
  ])('of %s is %j', (_, events, kinds) => {
    expect(after(events as object[]).kinds).toEqual(kinds)
  })

  it('is a lag above the limit, with or without an outage', () => {
    expect(after([], {}, 1001).found).toEqual([
      { kind: 'lagging', group: 'lagging', reason: '1 s, more than --max-lag (1 s)' },
    ])
    expect(after([], {}, 1000).kinds).toEqual([])
    expect(after([upload], {}, 1001).kinds).toEqual(['store-outage', 'lagging'])
  })

  it('is a file that cannot be replicated, and one that has been gone for a minute', () => {
    expect(
      after([], { state: 'failing', engine: undefined, reason: 'not in WAL mode' }).found,
    ).toEqual([{ kind: 'database-failing', reason: 'not in WAL mode' }])
    const { engine } = after([]).database
    const gone = (ms: number) => {
      const waiting = {
        ...engine!,
        state: 'waiting' as const,
        waitingSince: new Date(Date.now() - ms),
      }
      return after([], { state: 'waiting', engine: waiting, reason: 'there is no file' }).kinds
    }
    expect(gone(61_000)).toEqual(['database-missing'])
    expect(gone(1000)).toEqual([])
    expect(after([], { state: 'standby', engine: undefined }).kinds).toEqual([])
  })

  it('is the same as what makes walsync status exit with 1', () => {
    const states = [
      'starting',
      'waiting',
      'replicating',
      'behind',
      'fenced',
      'stopped',
      'failing',
      'ending',
      'standby',
    ] as const
    for (const state of states) {
      for (const events of [[], [upload], [damage]]) {
        const { database, kinds } = after(events, { state })
        expect(kinds.length > 0, `${state} ${events.length}`).toBe(needsAttention(database, 1000))
        for (const kind of kinds) expect(TROUBLES).toContain(kind)
      }
    }
  })
})

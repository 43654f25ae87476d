import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Notifier } from '../../../src/cli/notify/notifier.ts'
import { Receiver } from '../../../src/cli/notify/receiver.ts'
import type { Logger } from '../../../src/cli/output/logger.ts'
import type { FleetStatus } from '../../../src/cli/watch/fleet-status.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { until } from '../../support/until.ts'
import { FakeRun } from '../monitor/fake-run.ts'
import { Listener } from './listener.ts'

let listener: Listener
let notifier: Notifier
let run: FakeRun

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  listener = await Listener.start()
})
afterEach(async () => {
  await notifier.close([])
  vi.useRealTimers()
  vi.restoreAllMocks()
  await listener.stop()
})

function notify(count: number, maxLagMs?: number): void {
  const url = new URL(listener.url('/'))
  const heartbeat = { url: new URL('/ping', url), intervalMs: 60_000 }
  const webhook = { url: new URL('/hook', url), key: undefined }
  run = new FakeRun(count, { heartbeat, webhook, maxLagMs })
  const note = () => undefined
  const logger = { debug: note, info: note, warn: note, error: note } as unknown as Logger
  notifier = new Notifier(run.asRun(), { logger, version: '1.2.3' })
}

const change = (one: FleetStatus, own: Partial<FleetStatus>, engine = {}): FleetStatus => ({
  ...one,
  ...own,
  engine: one.engine && { ...one.engine, ...engine },
})
const received = (path: string) => listener.received.filter((one) => one.path === path)
const notices = () => received('/hook').map(({ body }) => JSON.parse(body))
/**
 * Counts heartbeats when they are sent. While one is under way no other is sent, so the arrivals
 * alone would be the same with one too many.
 */
function heartbeatsSent(): () => number {
  const send = vi.spyOn(Receiver.prototype, 'send')
  return () => send.mock.calls.filter(([{ method }]) => method === 'GET').length
}

/** Two looks: as many as an incident needs. */
const looks = () => vi.advanceTimersByTime(4000)

describe('what a watcher tells others', () => {
  it('of an outage of a store with 1,000 databases is one message, and one when it is over', async () => {
    notify(40)
    const well = Array.from({ length: 1000 }, (_, i) =>
      change(run.databases[0]!, { name: `tenant-${i}` }),
    )
    run.databases = well
    looks()
    const error = new StoreError('Unavailable', 'The store does not answer.', { op: 'put' })
    run.databases = well.map((one) => change(one, {}, { lastError: error.message }))
    for (const { name: database } of well) {
      run.emit({ type: 'store-error', database, during: 'upload', error, retryInMs: 1 })
    }
    looks()
    await until(() => notices().length > 0)
    run.databases = well
    looks()
    await until(() => notifier.counts.webhook.delivered === 2)
    looks()
    expect(notices().map((one) => [one.event, one.trouble, one.databases.count])).toEqual([
      ['trouble-started', 'store-outage', 1000],
      ['trouble-ended', 'store-outage', 1000],
    ])
    expect(notices()[0].text).toBe(
      'The store s3://backups fails (tenant-0 and 999 more databases): The store does not answer.',
    )
    expect(notifier.counts.webhook).toEqual({ delivered: 2, failed: 0, dropped: 0 })
  })

  it('is a heartbeat a minute while every database is replicated, and none while one lags', async () => {
    const sent = heartbeatsSent()
    notify(2, 1000)
    vi.advanceTimersByTime(60_000)
    expect(sent()).toBe(0)
    notifier.started()
    vi.advanceTimersByTime(60_000)
    expect(sent()).toBe(1)
    await until(() => notifier.counts.heartbeats.success === 1)
    const [app, other] = run.databases
    run.databases = [app!, change(other!, {}, { lagMs: 1001 })]
    vi.advanceTimersByTime(60_000)
    expect(sent()).toBe(1)
    run.databases = [app!, change(other!, {}, { lagMs: 999 })]
    vi.advanceTimersByTime(60_000)
    expect(sent()).toBe(2)
    await until(() => notifier.counts.heartbeats.success === 2)
    expect(received('/ping')).toHaveLength(2)
    await until(() => notices().length === 2)
    expect(notices().map(({ trouble, text }) => [trouble, text])).toEqual([
      ['lagging', 'Replication of tenant-0001 lags by 1 s, more than --max-lag (1 s)'],
      ['lagging', expect.stringMatching(/^Replication of tenant-0001 is up to date again, after/)],
    ])
  })

  it('is not sent by a watcher that stands by: the monitor gets those of the other one', async () => {
    const sent = heartbeatsSent()
    notify(1)
    notifier.started()
    const [app] = run.databases
    run.databases = [{ ...app!, state: 'standby', engine: undefined }]
    vi.advanceTimersByTime(120_000)
    expect(sent()).toBe(0)
    run.databases = [app!]
    vi.advanceTimersByTime(60_000)
    expect(sent()).toBe(1)
    await until(() => notifier.counts.heartbeats.success === 1)
    expect(received('/ping')).toHaveLength(1)
    expect(notices()).toEqual([])
  })
})

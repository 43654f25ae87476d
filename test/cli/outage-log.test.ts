import { beforeEach, describe, expect, it } from 'vitest'
import type { Logger } from '../../src/cli/output/logger.ts'
import type { FleetEvent } from '../../src/cli/watch/fleet-event.ts'
import { OutageLog } from '../../src/cli/watch/outage-log.ts'
import { StoreError } from '../../src/core/store/index.ts'

const SECOND = 1000
let lines: string[]
let log: OutageLog

beforeEach(() => {
  lines = []
  const at = (level: string) => (_: object, text: string) => {
    if (level !== 'debug') lines.push(`${level} ${text}`)
  }
  const logger = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [level, at(level)]),
  ) as unknown as Logger
  log = new OutageLog(logger, (name) => (name.startsWith('other') ? 's3://other' : 's3://b'))
})

const away = new StoreError('Unavailable', 'refused', { op: 'put', hint: 'Look.' })
const failed = (database: string, error: unknown = away, during = 'upload'): FleetEvent =>
  ({ type: 'store-error', database, during, error, retryInMs: 1 }) as FleetEvent
const recovered = (database: string, during = 'upload'): FleetEvent =>
  ({ type: 'store-recovered', database, during, outageMs: 1 }) as FleetEvent

describe('an outage', () => {
  it('is logged once for all databases of a store, and once when it is over for all of them', () => {
    const names = Array.from({ length: 10 }, (_, i) => `db${i}`)
    for (let at = 0; at < 60; at++) for (const name of names) log.log(failed(name), at * SECOND)
    log.log(failed('db0', away, 'snapshot'), 59 * SECOND)
    for (const name of names) log.log(recovered(name), 61 * SECOND)
    expect(lines).toEqual(['warn the store failed; changes wait in the WAL: refused try: Look.'])
    log.log({ type: 'snapshot', database: 'db0' } as FleetEvent, 62 * SECOND)
    expect(lines.slice(1)).toEqual([
      'info the store is reachable again after 1 min 2 s',
      'info snapshot uploaded',
    ])
  })

  it('that lasts is an error, once', () => {
    for (let at = 0; at < 400; at++) log.log(failed(`db${at % 3}`), at * SECOND)
    expect(lines).toHaveLength(2)
    expect(lines[1]).toBe('error the store has failed for 3 min: refused try: Look.')
  })

  it('of another store, or of another kind, is another', () => {
    log.log(failed('db1'), 0)
    log.log(failed('other1'), 0)
    log.log(failed('db1', new StoreError('PermissionDenied', 'no', { op: 'put' })), 0)
    log.log(failed('db2', new StoreError('Timeout', 'late', { op: 'put' })), 0)
    expect(lines).toHaveLength(3)
    expect(lines[2]).toMatch(/: no try: walsync doctor/)
  })

  it('does not wait for a database that has ended', () => {
    log.log(failed('db1'), 0)
    log.log(failed('db2'), 0)
    log.log(recovered('db1'), SECOND)
    expect(lines).toHaveLength(1)
    log.log({ type: 'fenced', database: 'db2', error: new Error('gone') } as FleetEvent, SECOND)
    expect(lines.slice(1)).toEqual(['info the store is reachable again after 1 s', 'error gone'])
  })
})

it('a failure of one database is logged once when it begins and once when it is over', () => {
  const event = (database: string): FleetEvent =>
    ({
      ...failed(database, new Error('locked'), 'replication'),
      type: 'database-error',
    }) as FleetEvent
  for (let at = 0; at < 10; at++) log.log(event('db1'), at)
  log.log(event('db2'), 10)
  log.log({ ...recovered('db1', 'replication'), type: 'database-recovered' } as FleetEvent, 11)
  log.log(event('db1'), 12)
  const first = 'error the database cannot be replicated now: locked'
  expect(lines).toEqual([first, first, 'info the database is replicated again', first])
})

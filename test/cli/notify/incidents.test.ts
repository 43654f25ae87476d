import { describe, expect, it } from 'vitest'
import { Incidents } from '../../../src/cli/notify/incidents.ts'
import { endNotice, startNotice } from '../../../src/cli/notify/notice.ts'
import type { Trouble } from '../../../src/cli/notify/trouble.ts'

const outage: Trouble = { kind: 'store-outage', group: 's3://b', store: 's3://b', reason: 'away' }
const failing: Trouble = { kind: 'database-failing', reason: 'locked', code: 'Locked' }
const fenced: Trouble = { kind: 'fenced', reason: 'a newer watcher' }

const all = (names: readonly string[], ...troubles: Trouble[]) =>
  new Map(names.map((name) => [name, troubles] as const))
const NONE = all([])

/** What each look reports, as `+kind:count` and `-kind:count`. */
function looks(...found: ReadonlyMap<string, readonly Trouble[]>[]): string[][] {
  const incidents = new Incidents()
  return found.map((troubles, i) => {
    const { started, ended } = incidents.look(troubles, i * 1000)
    const shown = (sign: string) => (incident: (typeof started)[number]) =>
      `${sign}${incident.kind}:${incident.databases.size}`
    return [...ended.map(shown('-')), ...started.map(shown('+'))]
  })
}

describe('an incident', () => {
  it('of a store with 1,000 databases is one, from its start to its end', () => {
    const names = Array.from({ length: 1000 }, (_, i) => `db${i}`)
    const [first, half] = [names.slice(0, 1), names.slice(0, 500)]
    const reported = looks(
      all(first, outage),
      all(half, outage),
      all(names, outage),
      all(first, outage),
      NONE,
      NONE,
      NONE,
    )
    expect(reported).toEqual([[], ['+store-outage:500'], [], [], [], ['-store-outage:1000'], []])
  })

  it('starts at the second look that finds it and ends at the second that does not', () => {
    const a = all(['a'], outage)
    expect(looks(a, NONE, a, NONE)).toEqual([[], [], [], []])
    expect(looks(a, a, NONE, a, NONE, NONE)).toEqual([
      [],
      ['+store-outage:1'],
      [],
      [],
      [],
      ['-store-outage:1'],
    ])
  })

  it('has all databases that fail together for the same reason, and no later one', () => {
    const later = all(['a', 'b', 'c'], failing)
    const reported = looks(all(['a', 'b'], failing), all(['a', 'b'], failing), later, later)
    expect(reported).toEqual([[], ['+database-failing:2'], [], ['+database-failing:1']])
  })

  it('is another for another reason, another store or another kind', () => {
    const troubles = new Map([
      ['a', [outage, { ...outage, kind: 'lagging' as const, group: 'lagging' }]],
      ['b', [{ ...outage, group: 's3://other', store: 's3://other' }]],
      ['c', [failing]],
      ['d', [{ ...failing, code: 'NoSpace' }]],
    ])
    expect(looks(troubles, troubles)[1]).toEqual([
      '+store-outage:1',
      '+lagging:1',
      '+store-outage:1',
      '+database-failing:1',
      '+database-failing:1',
    ])
  })

  it('that will not pass is reported when the process ends before the second look', () => {
    const incidents = new Incidents()
    incidents.look(all(['a'], outage), 0)
    const found = new Map([
      ['a', [outage]],
      ['b', [fenced]],
    ])
    expect(incidents.lastLook(found, 1).map(({ kind }) => kind)).toEqual(['fenced'])
    expect(incidents.lastLook(found, 2)).toEqual([])
  })
})

it('a notice says what, which databases, since when and for how long', () => {
  const incidents = new Incidents()
  const names = Array.from({ length: 150 }, (_, i) => `db${i}`)
  const watcher = { host: 'h', pid: 1, walsync: '1.2.3' }
  incidents.look(all(names, { ...outage, since: 500 }), 1000)
  const [incident] = incidents.look(all(names, outage), 3000).started
  const start = startNotice(incident!, watcher, new Date(3000))
  expect(start).toMatchObject({
    version: 1,
    event: 'trouble-started',
    trouble: 'store-outage',
    incident: incident!.id,
    text: 'The store s3://b fails (db0 and 149 more databases): away',
    since: new Date(500),
    store: 's3://b',
    databases: { count: 150 },
  })
  expect(start.databases.names).toHaveLength(100)
  incidents.look(NONE, 60_500)
  const [ended] = incidents.look(NONE, 62_500).ended
  const end = endNotice(ended!, watcher, new Date(62_500))
  expect(end).toMatchObject({
    event: 'trouble-ended',
    incident: start.incident,
    durationMs: 60_000,
  })
  expect(end.text).toBe('The store s3://b answers again (db0 and 149 more databases), after 1 min.')
  expect(end.id).not.toBe(start.id)
})

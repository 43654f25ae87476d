import { describe, expect, it } from 'vitest'
import { parsePointInTime } from '../../../src/core/restore/point-in-time.ts'
import { RestoreError } from '../../../src/core/restore/restore-error.ts'
import { cpuMs } from '../../support/cpu-time.ts'

const now = new Date('2026-11-24T18:00:00.000Z')
const zone = 'Europe/Berlin'

function isoOf(text: string): string {
  const target = parsePointInTime(text, { now, zone })
  return target.kind === 'time' ? target.time.toISOString() : target.kind
}

function errorOf(parse: () => unknown): RestoreError {
  try {
    parse()
  } catch (error) {
    if (error instanceof RestoreError) return error
    throw error
  }
  throw new Error('Expected an error.')
}

describe('parsePointInTime accepts', () => {
  it.each([
    ['2026-11-24T17:00:00Z', '2026-11-24T17:00:00.000Z'],
    ['2026-11-24t17:00:00z', '2026-11-24T17:00:00.000Z'],
    ['2026-11-24 17:00:00Z', '2026-11-24T17:00:00.000Z'],
    ['2026-11-24T17:00:00.5Z', '2026-11-24T17:00:00.500Z'],
    ['2026-11-24T17:00:00.123999999Z', '2026-11-24T17:00:00.123Z'],
    ['2026-11-24T17:00:00+01:00', '2026-11-24T16:00:00.000Z'],
    ['2026-11-24T12:00:00-05:30', '2026-11-24T17:30:00.000Z'],
    ['2026-11-24 17:00', '2026-11-24T16:00:00.000Z'],
    ['2026-07-24T17:00:00', '2026-07-24T15:00:00.000Z'],
    ['  2026-11-24   17:00:01.25 ', '2026-11-24T16:00:01.250Z'],
    ['today 17:00', '2026-11-24T16:00:00.000Z'],
    ['Yesterday 14:00:30', '2026-11-23T13:00:30.000Z'],
    ['10m ago', '2026-11-24T17:50:00.000Z'],
    ['2 hours ago', '2026-11-24T16:00:00.000Z'],
    ['1 Day ago', '2026-11-23T18:00:00.000Z'],
    ['1h30m ago', '2026-11-24T16:30:00.000Z'],
    ['1 hour and 30 minutes ago', '2026-11-24T16:30:00.000Z'],
    ['1w, 2d ago', '2026-11-15T18:00:00.000Z'],
    ['0s ago', '2026-11-24T18:00:00.000Z'],
    ['2026-10-25T02:30:00+01:00', '2026-10-25T01:30:00.000Z'],
  ])('%s', (text, iso) => {
    expect(isoOf(text)).toBe(iso)
  })

  it('a local time in the system zone by default', () => {
    expect(parsePointInTime('2026-11-24 12:34')).toEqual({
      kind: 'time',
      time: new Date(2026, 10, 24, 12, 34),
    })
  })
})

describe('parsePointInTime refuses', () => {
  it.each([
    '',
    'now',
    'yesterday',
    'last week',
    '03/04/2026',
    '03/04/2026 12:00',
    '24.11.2026 12:00',
    '2026-11-24',
    '20261124T170000Z',
    '2026-W48-2T12:00',
    '1764000000',
    '1764000000000',
    '12:00',
    '5pm',
    '2026-11-24 5pm',
    '2026-11-24T17:00:60Z',
    '2026-11-24T24:00:00Z',
    '2026-11-24T17:60Z',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-24T17:00:00+99:00',
    '2026-11-24T17:00:00 CET',
    '2 months ago',
    '1 year ago',
    '1.5 hours ago',
    '-5m ago',
    'ago',
    '5 ago',
    'm ago',
    '10m',
    '10m hence ago',
  ])('%j', (text) => {
    const error = errorOf(() => isoOf(text))
    expect(error.code).toBe('InvalidTarget')
    expect(error.message).toContain(JSON.stringify(text))
    expect(error.hint).toContain('Accepted: 2026-11-24T18:00:00Z')
  })

  it('a time later than now', () => {
    expect(errorOf(() => isoOf('2026-11-24T18:00:01Z')).message).toContain('later than now')
    expect(isoOf('2026-11-24T18:00:00Z')).toBe(now.toISOString())
  })

  it('a local time that the clocks skip', () => {
    expect(errorOf(() => isoOf('2026-03-29 02:30')).message).toContain('does not exist')
    expect(isoOf('2026-03-29 03:00')).toBe('2026-03-29T01:00:00.000Z')
  })

  it('a local time that happens twice, with both ways to write it', () => {
    const error = errorOf(() => isoOf('2026-10-25 02:30'))
    expect(error.message).toContain('happens twice')
    expect(error.hint).toContain('2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00')
  })

  it('hostile lengths at once', () => {
    const texts = ['1h '.repeat(100_000), `${'1'.repeat(100_000)}h ago`, ' '.repeat(100_000)]
    const spent = cpuMs(() => {
      for (const text of texts) expect(errorOf(() => isoOf(text)).code).toBe('InvalidTarget')
    })
    expect(spent).toBeLessThan(2000)
  })
})

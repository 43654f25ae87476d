import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { flag, parseFlags, settings } from '../../src/cli/args/flags.ts'
import {
  choice,
  duration,
  durations,
  integer,
  longDuration,
  replicaName,
  reportFile,
  secretUrl,
  signingKey,
  size,
  text,
} from '../../src/cli/args/kinds.ts'
import { UsageError } from '../../src/cli/args/usage-error.ts'

describe('replicaName', () => {
  it('takes odd names, but no control characters', () => {
    for (const name of ['a b', '../x', 'ä/é']) expect(replicaName().parse(name)).toBe(name)
    for (const name of ['', ' ', 'a\nb', '\u001b[2J', '\0']) {
      expect(replicaName().parse(name)).toBeUndefined()
    }
  })
})

describe('duration', () => {
  it.each([
    ['500ms', 500],
    ['1s', 1000],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['24d', 24 * 86_400_000],
    ['3600', 3_600_000],
    ['0.25', 250],
  ])('%s is %d ms', (given, expected) => {
    expect(duration().parse(given)).toBe(expected)
  })

  it.each([
    '',
    ' ',
    '0',
    '0s',
    '-1s',
    '-5',
    'soon',
    '1x',
    '25d',
    '1e3',
    'Infinity',
    'NaN',
    '1s 2s',
  ])('refuses %j', (given) => {
    expect(duration().parse(given)).toBeUndefined()
  })

  it('takes 0 only where 0 has a meaning', () => {
    expect(duration({ zero: true }).parse('0')).toBe(0)
    expect(duration({ zero: true }).parse('-1')).toBeUndefined()
  })
})

describe('a secret', () => {
  it('is a URL of the web, or a key of at least 16 bytes', () => {
    expect(secretUrl().parse(' https://host/ping/x ')?.href).toBe('https://host/ping/x')
    for (const wrong of ['', 'host/x', 'ftp://host/x', 'file:///x', 'https://']) {
      expect(secretUrl().parse(wrong)).toBeUndefined()
    }
    const bytes = Buffer.from('0123456789abcdef')
    expect(signingKey().parse('0123456789abcdef')).toEqual(bytes)
    expect(signingKey().parse(`whsec_${bytes.toString('base64')}`)).toEqual(bytes)
    for (const wrong of ['', 'short', 'whsec_c2hvcnQ=', 'whsec_0123456789-abcdef0123456789']) {
      expect(signingKey().parse(wrong)).toBeUndefined()
    }
  })

  it.each([
    ['heartbeatUrl', 'ftp://host/T0KEN'],
    ['webhookUrl', 'host/T0KEN'],
    ['webhookSecret', 'whsec_T0KEN-0123456789abcdef'],
  ] as const)('that is a wrong %s is refused without being shown', (name, value) => {
    const schema = z.object(settings('heartbeatUrl', 'webhookUrl', 'webhookSecret'))
    const refused = () => parseFlags(schema, { [name]: value })
    expect(refused).toThrow(UsageError)
    expect(refused).toThrow(/^The value of --\S+ is not a /)
    expect(refused).not.toThrow('T0KEN')
  })

  it('that may be repeated is refused by the value that is wrong', () => {
    const schema = z.object({ report: z.array(flag(reportFile())) })
    const refused = () => parseFlags(schema, { report: ['a.html', 'b.pdf'] })
    expect(refused).toThrow(/^--report got "b.pdf", which is not a file that ends with/)
  })
})

describe('size', () => {
  it.each([
    ['4096', 4096],
    ['64MB', 64_000_000],
    ['64mb', 64_000_000],
    ['64 MB', 64_000_000],
    ['64M', 64_000_000],
    ['1.5kB', 1500],
    ['1KiB', 1024],
    ['1GiB', 1_073_741_824],
  ])('%s is %d', (given, expected) => {
    expect(size().parse(given)).toBe(expected)
  })

  it.each(['', '0', '-1', '64XB', 'MB', '1iB', '1e9', '9999999TB', '0.0001'])(
    'refuses %j',
    (given) => {
      expect(size().parse(given)).toBeUndefined()
    },
  )
})

describe('parseFlags', () => {
  const schema = z.object({
    maxWalSize: flag(size()),
    parallelism: flag(integer(1, 64)).optional(),
    integrityCheck: flag(choice(['full', 'quick', 'none'], 'kind')).optional(),
    bucket: flag(text('a replica URL', 'url')).optional(),
  })

  it.each([
    [{ maxWalSize: 'big' }, '--max-wal-size got "big", which is not a size'],
    [
      { maxWalSize: '1', parallelism: '65' },
      '--parallelism got "65", which is not a whole number from 1 to 64',
    ],
    [{ maxWalSize: '1', parallelism: '1.5' }, '--parallelism got "1.5"'],
    [
      { maxWalSize: '1', integrityCheck: 'fast' },
      '--integrity-check got "fast", which is not one of full, quick, none',
    ],
    [{ maxWalSize: '1', bucket: ' ' }, '--bucket got " ", which is not a replica URL'],
  ])('says which flag, what it got and what it takes: %j', (raw, message) => {
    expect(() => parseFlags(schema, raw)).toThrow(UsageError)
    expect(() => parseFlags(schema, raw)).toThrow(message)
  })
})

describe('longDuration', () => {
  it.each([
    ['30d', 30 * 86_400_000],
    ['8w', 56 * 86_400_000],
    ['1y', 365.25 * 86_400_000],
    ['90', 90_000],
    ['500ms', 500],
  ])('%s is %d ms', (given, expected) => {
    expect(longDuration().parse(given)).toBe(expected)
  })

  it.each(['', '0', '-1d', '101y', '1M', 'ever'])('refuses %j', (given) => {
    expect(longDuration().parse(given)).toBeUndefined()
  })

  it('takes 0 only where 0 has a meaning', () => {
    expect(longDuration({ zero: true }).parse('0')).toBe(0)
  })
})

describe('durations', () => {
  it('reads a list, and none as an empty one', () => {
    expect(durations({ max: 3 }).parse('5m, 24h,7d')).toEqual([300_000, 86_400_000, 604_800_000])
    expect(durations({ max: 3 }).parse('none')).toEqual([])
  })

  it.each(['', ',', '1s,', '1s,none', '1s,2s,3s,4s', '1s,0'])('refuses %j', (given) => {
    expect(durations({ max: 3 }).parse(given)).toBeUndefined()
  })

  it('demands an order only where it has a meaning', () => {
    expect(durations({ max: 3 }).parse('2s,1s')).toEqual([2000, 1000])
    const ascending = durations({ max: 3, ascending: true })
    expect(ascending.parse('1s,2s')).toEqual([1000, 2000])
    for (const given of ['2s,1s', '1s,1s']) expect(ascending.parse(given)).toBeUndefined()
  })
})

import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { COMMAND_DEFINITIONS } from '../../src/cli/args/command-definitions.ts'
import type { CommandName } from '../../src/cli/args/command-names.ts'
import {
  databaseSettings,
  RETENTION_SETTINGS,
  retentionPolicy,
} from '../../src/cli/args/database-settings.ts'
import { parseFlags, settings } from '../../src/cli/args/flags.ts'
import { UsageError } from '../../src/cli/args/usage-error.ts'
import { DEFAULT_LEVELS, DEFAULT_RETENTION } from '../../src/core/retention/retention-policy.ts'

const parseLevels = (levels: string) => databaseSettings({ levels }).levels

const DAY = 86_400_000

/** The default of a command's flag, as its definition has it. */
function defaultOf(command: CommandName, flag: string): string {
  const { options } = COMMAND_DEFINITIONS[command]()
  return options.find(({ long }) => long === flag)?.defaultValue as string
}

describe('levels', () => {
  it('reads the default of every command that has the flag as the default of the library', () => {
    for (const command of ['watch', 'compact'] as const) {
      expect(parseLevels(defaultOf(command, '--levels'))).toEqual(DEFAULT_LEVELS)
    }
    expect(parseLevels('none')).toEqual([])
  })

  it.each(['', '5m,30s', '1s,2s,3s,4s,5s,6s,7s,8s,9s', 'soon'])(
    'refuses %j and says why',
    (given) => {
      expect(() => parseLevels(given)).toThrow(UsageError)
      expect(() => parseLevels(given)).toThrow('--levels got')
    },
  )
})

describe('retentionPolicy', () => {
  const given = { keepLevels: '5m,24h,7d', minObjectAge: '5m' }
  const parse = (flags: Record<string, unknown>) =>
    retentionPolicy(parseFlags(z.object(settings(...RETENTION_SETTINGS)), { ...given, ...flags }))

  it('reads the defaults as the default of the library', () => {
    for (const command of ['watch', 'prune'] as const) {
      const keepLevels = defaultOf(command, '--keep-levels')
      expect(parse({ keepLevels, minObjectAge: defaultOf(command, '--min-object-age') })).toEqual(
        DEFAULT_RETENTION,
      )
    }
  })

  it('reads every rule', () => {
    const rules = { keepFor: '1y', keepLast: '2', keepHourly: '24', keepDaily: '30' }
    expect(parse({ ...rules, keepWeekly: '8', keepMonthly: '12', minObjectAge: '0' })).toEqual({
      levelKeepMs: DEFAULT_RETENTION.levelKeepMs,
      keepForMs: 365.25 * DAY,
      keepLast: 2,
      keepHourly: 24,
      keepDaily: 30,
      keepWeekly: 8,
      keepMonthly: 12,
      minObjectAgeMs: 0,
    })
  })

  it.each([
    [{ keepLast: '0' }, '--keep-last got "0", which is not a whole number from 1'],
    [{ keepFor: 'forever' }, '--keep-for got "forever", which is not a duration up to 100y'],
    [{ keepLevels: '5m,' }, '--keep-levels got "5m,", which is not none or up to 9 durations'],
    [{ minObjectAge: '-1' }, '--min-object-age got "-1", which is not a duration'],
  ])('refuses %j', (flags, message) => {
    expect(() => parse(flags)).toThrow(message)
  })
})

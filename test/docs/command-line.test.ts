import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { referenceFiles } from '../../scripts/reference.ts'
import { COMMAND_DEFINITIONS } from '../../src/cli/args/command-definitions.ts'
import { DATABASE_SETTINGS, flagOf } from '../../src/cli/args/setting-lookup.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const page = readFileSync(`${root}docs/reference/cli.md`, 'utf8')
const configuration = readFileSync(`${root}docs/reference/configuration.md`, 'utf8')
const commands = Object.values(COMMAND_DEFINITIONS).map((define) => define())
const names = commands.map((command) => command.name())

/** Of the program itself; program.ts adds them to every command. */
const GLOBAL = [
  ...['--endpoint', '--region', '--plugin', '--json', '--quiet'],
  ...['--log-level', '--log-format', '--version', '--help'],
]
/** Described once, at the top of the page. */
const COMMON = '--bucket'

/** What stands below `## heading`, up to the next one of its kind. */
function section(heading: string, text = page): string {
  const found = text.split(/^## /m).find((part) => part.split('\n', 1)[0]?.startsWith(heading))
  if (found === undefined) throw new Error(`docs/reference/cli.md has no section ${heading}`)
  return found
}

function flagsIn(text: string): string[] {
  return [...new Set(text.match(/(?<![\w-])--[a-z][a-z-]*[a-z]/g))]
}

/** First column of the tables, and the rest of the row. */
function rows(text: string): { readonly flags: string[]; readonly cells: string[] }[] {
  return [...text.matchAll(/^\| (`-.*?) \|(.*)\|$/gm)].map(([, first = '', rest = '']) => ({
    flags: flagsIn(first),
    cells: rest.split('|').map((cell) => cell.trim()),
  }))
}

describe('docs/reference/cli.md', () => {
  it('has a section for every command, in the order of --help', () => {
    const headings = [...page.matchAll(/^## ([a-z]+)$/gm)].map(([, name]) => name)
    expect(headings).toEqual(names)
    const usage = page.slice(0, page.indexOf('## Where'))
    const listed = [...usage.matchAll(/^walsync ([a-z]+) /gm)].map(([, name]) => name)
    expect([...new Set(listed)]).toEqual(names)
  })

  it.each(names)('names every flag of %s in its section, and no others in its table', (name) => {
    const { options } = commands[names.indexOf(name)]!
    const own = options.flatMap(({ long }) => (long === COMMON ? [] : [long!]))
    const described = flagsIn(section(name))
    expect(own.filter((flag) => !described.includes(flag))).toEqual([])
    const inTables = rows(section(name)).flatMap(({ flags }) => flags)
    expect(inTables.filter((flag) => !own.includes(flag))).toEqual([])
  })

  it.each(['watch', 'prune'])('has the defaults of %s', (name) => {
    const options = new Map(commands[names.indexOf(name)]!.options.map((o) => [o.long, o]))
    const table = rows(section(name)).filter(({ cells }) => cells.length === 2)
    expect(table.length).toBeGreaterThan(5)
    for (const { flags, cells } of table) {
      for (const flag of flags) {
        const { defaultValue } = options.get(flag)!
        if (typeof defaultValue === 'string')
          expect(`${flag} ${cells[0]}`).toBe(`${flag} ${defaultValue}`)
      }
    }
  })

  it('names the global flags, and no flag that does not exist', () => {
    expect(flagsIn(section('Global flags'))).toEqual(expect.arrayContaining(GLOBAL))
    const all = new Set([
      ...GLOBAL,
      ...commands.flatMap(({ options }) => options.map((o) => o.long!)),
    ])
    expect(flagsIn(page).filter((flag) => !all.has(flag))).toEqual([])
  })

  it('names every event of the log, and no other', () => {
    const source = ['output/event-log.ts', 'watch/watch-run.ts', 'watch/start-probe.ts'].map(
      (file) => readFileSync(`${root}src/cli/${file}`, 'utf8'),
    )
    const inSource = source.flatMap((text) =>
      [...text.matchAll(/(?:case|event:) '([a-z-]+)'/g)].map(([, event]) => event!),
    )
    const list = /Events: ([\s\S]*?)\. TXIDs/.exec(page)?.[1] ?? ''
    const listed = [...list.matchAll(/`([a-z-]+)`/g)].map(([, event]) => event!)
    expect(listed.toSorted()).toEqual([...new Set(inSource)].toSorted())
  })
})

describe('docs/reference/configuration.md', () => {
  it('has every setting, with its flag and default', () => {
    const { options } = commands[0]!
    const table = rows(section('Settings', configuration).replaceAll(/^\| `[^-].*?\| /gm, '| '))
    const documented = new Map(table.flatMap(({ flags, cells }) => flags.map((f) => [f, cells[1]])))
    const flags = DATABASE_SETTINGS.map(
      (name) => options.find(({ long }) => long === flagOf(name))!,
    )
    for (const { long, defaultValue } of flags) {
      expect(documented.has(long!), long).toBe(true)
      if (typeof defaultValue === 'string') expect(documented.get(long!), long).toBe(defaultValue)
    }
  })
})

describe('what scripts/reference.ts writes', () => {
  it.each(referenceFiles())('is what the table of settings says: $path', ({ is, shouldBe }) => {
    expect(is).toBe(shouldBe)
  })
})

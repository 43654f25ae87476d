import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { CommandName } from '../src/cli/args/command-names.ts'
import {
  flagOf,
  keyOf,
  SETTING_ROWS,
  type SettingName,
  settingRow,
  settingsOf,
  variableOf,
} from '../src/cli/args/setting-lookup.ts'
import { configJsonSchema } from '../src/cli/config/config-schema.ts'

/*
 * What the table of settings says, written into walsync.schema.json and into the pages that show it:
 * between `<!-- settings: … -->` and `<!-- /settings -->`. Run it after a change of
 * src/cli/args/settings.ts; a test compares the files with what it would write.
 */
const root = fileURLToPath(new URL('../', import.meta.url))
const PAGES = ['docs/reference/cli.md', 'docs/reference/configuration.md']
const SCHEMA = 'walsync.schema.json'

/** Each page with generated tables, as it is and as it should be. */
export function referenceFiles(): { path: string; is: string; shouldBe: string }[] {
  const read = (path: string) => readFileSync(`${root}${path}`, 'utf8')
  const pages = PAGES.map((path) => ({ path, is: read(path), shouldBe: fillTables(read(path)) }))
  return pages
}

/** `<!-- settings: flags of watch -->`, `keys of databases` or `keys of the process`. */
function fillTables(page: string): string {
  return page.replaceAll(
    /(<!-- settings: (flags|keys) of ([a-z ]+) -->\n)[\s\S]*?(<!-- \/settings -->)/g,
    (_, start: string, kind: string, of: string, end: string) =>
      `${start}${kind === 'flags' ? flagTable(of as CommandName) : keyTable(of)}${end}`,
  )
}

function flagTable(command: CommandName): string {
  const names = settingsOf(command).flatMap(([name]) =>
    name === 'bucket' || name === 'config' ? [] : [name],
  )
  return table(
    ['flag', 'default', ''],
    names.map((name) => [`\`${flagOf(name)}\``, shownDefault(name), settingRow(name).help]),
  )
}

function keyTable(of: string): string {
  const scope = of === 'databases' ? 'database' : 'process'
  const rows = SETTING_ROWS.filter((row) => row[1].scope === scope)
  const names = rows.map(([name]) => name).filter((name) => keyName(name) !== undefined)
  return table(
    ['key', 'flag', 'variable', 'default', ''],
    names.map((name) => [
      `\`${keyName(name)}\``,
      `\`${flagOf(name)}\``,
      `\`${variableOf(name)}${settingRow(name).default === true ? '=false' : ''}\``,
      String(settingRow(name).default ?? ''),
      settingRow(name).help,
    ]),
  )
}

/** `retention: none` is the key of the only setting that is a value of another one's group. */
function keyName(name: SettingName): string | undefined {
  return name === 'prune' ? 'retention: none' : withFalse(name)
}

/** A switch that is on by default is written to turn it off. */
function withFalse(name: SettingName): string | undefined {
  const key = keyOf(name)
  return key !== undefined && settingRow(name).default === true ? `${key}: false` : key
}

function shownDefault(name: SettingName): string {
  const { default: standard } = settingRow(name)
  return typeof standard === 'string' ? standard : ''
}

function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `${cells.map((cell) => (cell === '' ? '| ' : `| ${cell} `)).join('')}|\n`
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))
  return [line(heading), `${heading.map(() => '|---').join('')}|\n`, ...cells.map(line)].join('')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, is, shouldBe } of referenceFiles()) {
    if (is !== shouldBe) writeFileSync(`${root}${path}`, shouldBe)
  }
  writeFileSync(`${root}${SCHEMA}`, JSON.stringify(configJsonSchema()))
  execFileSync('biome', ['format', '--write', SCHEMA], { cwd: root, stdio: 'inherit' })
}

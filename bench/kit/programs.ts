import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serverPath } from '../../test/servers/server-path.ts'
import type { Place } from './places.ts'

export interface Command {
  readonly command: string
  readonly args: readonly string[]
}

/** A program that replicates, as a user starts it. */
export interface Program {
  /** Its column in the table. */
  readonly name: string
  /** Its build, if it is walsync. */
  readonly dist?: string | undefined
  readonly version: string
  /** Level of the first full copy. */
  readonly firstLevel: number
  /** Replicates databases; the name of a replica is the file name without `.db`. `folder` is for files of its own. */
  watch(databases: readonly string[], place: Place, folder: string): Command
  restore(name: string, place: Place, output: string, options?: RestoreOptions): Command
  showVersion(): Command
  /** What lists the states of a replica, for an empty folder. */
  list(folder: string): Command
}

export interface RestoreOptions {
  readonly integrityCheck: 'none' | 'full'
  /** For files of its own. */
  readonly folder: string
}

const DIST = fileURLToPath(new URL('../../dist', import.meta.url))

export interface ProgramOptions {
  /** Folder of an older build, as one more column. */
  readonly before?: string | undefined
  /** Columns to leave out. */
  readonly without: readonly string[]
}

/** walsync of `dist`, an older build if one is named, and Litestream if it is installed. */
export function programsOf({ before, without }: ProgramOptions): Program[] {
  const litestream = serverPath('litestream')
  return [
    walsync('walsync', DIST),
    ...(before === undefined ? [] : [walsync('before', resolve(before))]),
    ...(litestream === undefined ? [] : [litestreamAt(litestream)]),
  ].filter(({ name }) => !without.includes(name))
}

function walsync(name: string, dist: string): Program {
  const cli = join(dist, 'cli/bin.js')
  const node = (...args: string[]): Command => ({ command: process.execPath, args: [cli, ...args] })
  return {
    name,
    dist,
    version: outputOf(node('--version')),
    firstLevel: 9,
    watch: (databases, place, folder) => {
      const config = join(folder, `${name}.yml`)
      const entries = databases.map((path) => ({ path }))
      writeFileSync(config, JSON.stringify({ bucket: place.url, databases: entries }))
      return node('watch', '--config', config, '--log-level', 'error')
    },
    restore: (replica, place, output, options) => {
      const check = options === undefined ? [] : ['--integrity-check', options.integrityCheck]
      return node('restore', replica, '-b', place.url, '-o', output, ...check)
    },
    showVersion: () => node('--version'),
    list: (folder) => node('list', '-b', folder),
  }
}

function litestreamAt(command: string): Program {
  return {
    name: 'litestream',
    version: outputOf({ command, args: ['version'] }),
    firstLevel: 0,
    watch: (databases, place, folder) => ({
      command,
      args: ['replicate', '-config', litestreamConfig(databases, place, folder)],
    }),
    restore: (name, place, output, options) => {
      const folder = options?.folder ?? join(output, '..')
      const path = join(folder, `${name}.db`)
      const check = options === undefined ? [] : ['-integrity-check', options.integrityCheck]
      const config = litestreamConfig([path], place, folder)
      return { command, args: ['restore', '-config', config, '-o', output, ...check, path] }
    },
    showVersion: () => ({ command, args: ['version'] }),
    list: (folder) => ({ command, args: ['ltx', `file://${folder}`] }),
  }
}

/** JSON is YAML. */
function litestreamConfig(databases: readonly string[], place: Place, folder: string): string {
  const path = join(folder, 'litestream.yml')
  const dbs = databases.map((db) => ({ path: db, replica: place.litestreamReplica(nameOf(db)) }))
  writeFileSync(path, JSON.stringify({ logging: { level: 'error' }, dbs }))
  return path
}

/** The name of a database's replica. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1, -'.db'.length)
}

function outputOf({ command, args }: Command): string {
  const { stdout, status, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status === 0) return stdout.trim()
  throw new Error(`${command} ${args.join(' ')} does not run: has it been built?`, { cause: error })
}

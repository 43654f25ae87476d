import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runBuilt, runJson } from '../support/e2e-cli.ts'
import { E2eFolder } from '../support/e2e-folder.ts'
import { Watcher } from '../support/e2e-watcher.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const execute = promisify(execFile)
const folder = new E2eFolder()
const project = join(folder.path, 'project')
const bin = join(project, 'node_modules/walsync/dist/cli/bin.js')

/** URL of each cloud store, the package that it needs, and what its options ask for. */
const CLOUDS = [
  ['s3://some-bucket/prefix', '@aws-sdk/client-s3', {}],
  ['tigris://some-bucket/prefix', '@aws-sdk/client-s3', {}],
  ['gs://some-bucket/prefix', '@google-cloud/storage', {}],
  ['az://some-container/prefix', '@azure/storage-blob', { AZURE_STORAGE_ACCOUNT: 'someaccount' }],
] as const

beforeAll(async () => {
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{"name":"someone","private":true}')
  const packed = await execute(
    'npm',
    ['pack', '--ignore-scripts', '--json', '--pack-destination', folder.path],
    { cwd: ROOT },
  )
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }]
  const flags = ['--omit=optional', '--omit=peer', '--prefer-offline', '--no-audit', '--no-fund']
  await execute('npm', ['install', ...flags, join(folder.path, filename)], { cwd: project })
}, 80_000)

afterAll(() => folder.dispose())

it('no SDK is installed', () => {
  for (const [, name] of CLOUDS) {
    expect(existsSync(join(project, 'node_modules', name)), name).toBe(false)
  }
})

it('watches into a folder, lists it and restores from it', async () => {
  folder.create('app')
  const where = { cwd: folder.path, bin }
  const watcher = new Watcher(['app.db', '-b', './replica'], where)
  try {
    await watcher.started(['app'])
    folder.startWriter('app', 100)
    await folder.grown('app', 50)
    await folder.stopWriter('app')
    expect(await watcher.stop()).toMatchObject({ code: 0 })
  } finally {
    await watcher.dispose()
  }
  const list = await runJson(['list', '-b', './replica'], where)
  expect(list).toMatchObject({ databases: [{ name: 'app', gaps: [] }] })
  const latest = await folder.restore('app', ['-b', './replica'], { bin })
  expect(latest.problems).toEqual([])
  expect(latest.all === folder.source('app').all).toBe(true)
})

it.each(CLOUDS)('%s names %s and how to install it, with 2', async (url, name, env) => {
  const { code, stderr, stdout } = await runBuilt(['list', '-b', url], {
    cwd: folder.path,
    env,
    bin,
  })
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr.split('\n')).toEqual([
    expect.stringMatching(new RegExp(`^error: .*needs the package ${name}\\.$`)),
    expect.stringMatching(new RegExp(`^ {2}try: .*npm install ${name}$`)),
    '',
  ])
})

it('the installed program is on the path of npm scripts', async () => {
  const { stdout } = await execute(join(project, 'node_modules/.bin/walsync'), ['--version'])
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

describe('a strict program that checks the types of its libraries, too', () => {
  const TYPED = ['walsync', 'walsync/store', 'walsync/testing', 'walsync/backends/file']
  const COMPILER = {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
  }

  it.each(['mts', 'cts'])('compiles without any SDK, as .%s', async (extension) => {
    const place = join(project, extension)
    mkdirSync(join(place, 'node_modules/@types'), { recursive: true })
    for (const name of ['@types/node', 'undici-types']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(place, 'node_modules', name))
    }
    const imports = TYPED.map((name, i) => `import * as m${i} from '${name}'\n`)
    const modules = TYPED.map((_, i) => `m${i}`).join(', ')
    writeFileSync(
      join(place, `main.${extension}`),
      `${imports.join('')}export const all: object[] = [${modules}]\nexport const id: m0.TXID = m0.txid(1n)\n`,
    )
    const config = { compilerOptions: COMPILER, files: [`main.${extension}`] }
    writeFileSync(join(place, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const { stdout } = await execute(process.execPath, [tsc, '-p', place]).catch((error) => error)
    expect(stdout).toBe('')
  })

  it.each(['import', 'require'])('runs with %s', async (how) => {
    const load = how === 'import' ? "await import('walsync')" : "require('walsync')"
    const file = join(project, `run.${how === 'import' ? 'mjs' : 'cjs'}`)
    writeFileSync(
      file,
      `const { formatTxid, openStore, Engine, txid } = ${load}
console.log(formatTxid(txid(42n)), typeof Engine)
openStore('./replica', { cwd: ${JSON.stringify(folder.path)} }).then(({ layout, backend }) => console.log(layout, backend))
`,
    )
    const { stdout, stderr } = await execute(process.execPath, [file])
    expect({ stdout, stderr }).toEqual({
      stdout: '000000000000002a function\nltx file\n',
      stderr: '',
    })
  })
})

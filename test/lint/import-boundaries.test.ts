import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const IMPORTS = 'lint/style/noRestrictedImports'

/** [importing file, what it imports] */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ['src/core/engine.ts', '../backends/s3/index.ts'],
  ['src/core/engine.ts', '../cli/output.ts'],
  ['src/core/engine.ts', '@aws-sdk/client-s3'],
  ['src/core/engine.ts', 'inversify'],
  ['src/core/store/x.ts', '../replica/replica-layout.ts'],
  ['src/core/store/retry/x.ts', '../../replica/replica-layout.ts'],
  ['src/core/async/x.ts', '../store/index.ts'],
  ['src/core/store/x.ts', '@azure/storage-blob'],
  ['src/core/fs/x.ts', '../store/index.ts'],
  ['src/core/wal/x.ts', '../ltx/txid.ts'],
  ['src/core/wal/x.ts', 'node:fs'],
  ['src/core/ltx/x.ts', '../wal/index.ts'],
  ['src/core/ltx/x.ts', '../store/index.ts'],
  ['src/core/ltx/x.ts', 'node:sqlite'],
  ['src/core/db/x.ts', '../store/index.ts'],
  ['src/core/db/x.ts', '../replica/replica-client.ts'],
  ['src/core/db/x.ts', '../../backends/file/index.ts'],
  ['src/core/db/x.ts', '../index.ts'],
  ['src/core/replica/x.ts', '../db/wal-file.ts'],
  ['src/core/replica/x.ts', '../wal/index.ts'],
  ['src/core/replica/x.ts', '@google-cloud/storage'],
  ['src/core/replica/x.ts', '../../backends/gcs/index.ts'],
  ['src/core/restore/x.ts', '../db/database-file.ts'],
  ['src/core/restore/x.ts', '../engine/engine.ts'],
  ['src/core/restore/x.ts', '../drill/index.ts'],
  ['src/core/restore/x.ts', '../../cli/output.ts'],
  ['src/core/retention/plan-x.ts', '../store/index.ts'],
  ['src/core/retention/plan-x.ts', 'node:fs'],
  ['src/core/retention/x.ts', '../engine/engine.ts'],
  ['src/core/compaction/plan-x.ts', '../store/index.ts'],
  ['src/core/compaction/x.ts', '../db/index.ts'],
  ['src/core/verify/x.ts', '../engine/engine.ts'],
  ['src/core/verify/x.ts', '../drill/index.ts'],
  ['src/core/verify/x.ts', '../repair/index.ts'],
  ['src/core/drill/x.ts', '../engine/engine.ts'],
  ['src/core/drill/x.ts', '../db/index.ts'],
  ['src/core/repair/x.ts', '../../legacy/legacy-keys.ts'],
  ['src/legacy/x.ts', '../core/engine/engine.ts'],
  ['src/legacy/x.ts', '@aws-sdk/client-s3'],
  ['src/backends/memory/x.ts', '../../core/replica/replica-layout.ts'],
  ['src/backends/memory/x.ts', '../../core/fs/durable-file.ts'],
  ['src/backends/memory/x.ts', '@aws-sdk/client-s3'],
  ['src/backends/file/x.ts', '../../core/ltx/txid.ts'],
  ['src/backends/file/x.ts', '../memory/index.ts'],
  ['src/backends/s3/x.ts', '../../core/ltx/txid.ts'],
  ['src/backends/s3/x.ts', '../gcs/index.ts'],
  ['src/backends/s3/x.ts', '@google-cloud/storage'],
  ['src/backends/s3/x.ts', '../../cli/output.ts'],
  ['src/backends/gcs/x.ts', '../../core/index.ts'],
  ['src/backends/gcs/x.ts', '@azure/storage-blob'],
  ['src/backends/azure/x.ts', '../../core/fs/durable-file.ts'],
  ['src/backends/azure/x.ts', '@aws-sdk/client-s3'],
  ['src/backends/shared/x.ts', '../s3/s3-errors.ts'],
  ['src/backends/shared/x.ts', '@aws-sdk/client-s3'],
  ['src/testing/facets/x.ts', '../../core/ltx/txid.ts'],
  ['src/testing/x.ts', '../backends/memory/index.ts'],
  ['src/testing/x.ts', '@aws-sdk/client-s3'],
  ['src/api/x.ts', '../backends/s3/index.ts'],
  ['src/api/x.ts', '@aws-sdk/client-s3'],
  ['src/cli/commands/x.ts', '../../backends/s3/index.ts'],
  ['src/cli/commands/x.ts', 'inversify'],
  ['src/cli/composition/x.ts', '@aws-sdk/client-s3'],
]

const ALLOWED: readonly (readonly [string, string])[] = [
  ['src/core/engine.ts', './replica/replicator.ts'],
  ['src/core/db/x.ts', '../wal/index.ts'],
  ['src/core/db/x.ts', 'node:sqlite'],
  ['src/core/replica/x.ts', '../store/index.ts'],
  ['src/core/replica/x.ts', '../ltx/txid.ts'],
  ['src/core/restore/x.ts', '../replica/replica-layout.ts'],
  ['src/core/restore/x.ts', '../replica/replica-client.ts'],
  ['src/core/restore/x.ts', '../fs/durable-file.ts'],
  ['src/core/retention/plan-x.ts', '../restore/restore-plan.ts'],
  ['src/core/compaction/x.ts', '../retention/plan-retention.ts'],
  ['src/core/store/x.ts', '../errors.ts'],
  ['src/core/wal/x.ts', '../errors.ts'],
  ['src/core/ltx/x.ts', '../errors.ts'],
  ['src/core/fs/x.ts', '../errors.ts'],
  ['src/core/db/x.ts', '../errors.ts'],
  ['src/legacy/x.ts', '../core/errors.ts'],
  ['src/core/store/retry/x.ts', '../key.ts'],
  ['src/core/engine/upload/x.ts', '../../store/index.ts'],
  ['src/core/verify/x.ts', '../restore/restore.ts'],
  ['src/core/repair/x.ts', '../engine/take-snapshot.ts'],
  ['src/legacy/x.ts', '../core/wal/index.ts'],
  ['src/core/engine/x.ts', '../retention/prune-replica.ts'],
  ['src/core/ltx/x.ts', 'lz4-napi'],
  ['src/backends/memory/x.ts', '../../core/store/index.ts'],
  ['src/backends/file/x.ts', '../../core/fs/durable-file.ts'],
  ['src/backends/s3/x.ts', '@aws-sdk/client-s3'],
  ['src/backends/s3/x.ts', '../shared/load-sdk.ts'],
  ['src/backends/gcs/x.ts', '@google-cloud/storage'],
  ['src/backends/azure/x.ts', '@azure/storage-blob'],
  ['src/testing/facets/x.ts', '../../core/store/index.ts'],
  ['src/testing/facets/x.ts', '../harness.ts'],
  ['src/api/x.ts', '../cli/composition/open-store.ts'],
  ['src/cli/composition/x.ts', '../../backends/s3/index.ts'],
  ['src/cli/composition/x.ts', 'inversify'],
  ['src/cli/commands/x.ts', '../../core/engine.ts'],
]

/** Static, type-only and dynamic: all three must be seen. */
const FORMS: readonly ((specifier: string) => string)[] = [
  (specifier: string) => `import { x } from '${specifier}'\n\nexport const y = x\n`,
  (specifier: string) => `import type { x } from '${specifier}'\n\nexport type Y = x\n`,
  (specifier: string) => `export const y = import('${specifier}')\n`,
]

let folder: string
let findings: readonly { readonly path: string; readonly category: string }[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-lint-'))
  cpSync(join(root, 'biome.json'), join(folder, 'biome.json'))
  for (const [i, [path, specifier]] of [...FORBIDDEN, ...ALLOWED].entries()) {
    for (const [form, source] of FORMS.entries()) write(numbered(path, i, form), source(specifier))
  }
  write('src/core/db/console.ts', "console.log('x')\n")
  write('src/core/db/env.ts', 'export const home = process.env.HOME\n')
  findings = await lint(folder)
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('import boundaries', () => {
  it.each(FORBIDDEN.map((row, i) => [...row, i] as const))(
    '%s may not import %s',
    (path, _specifier, i) => {
      for (const form of FORMS.keys()) expect(restricted(numbered(path, i, form))).toBe(true)
    },
  )

  it.each(ALLOWED.map((row, i) => [...row, FORBIDDEN.length + i] as const))(
    '%s may import %s',
    (path, _specifier, i) => {
      for (const form of FORMS.keys()) expect(restricted(numbered(path, i, form))).toBe(false)
    },
  )

  it('core reads no environment variable and prints nothing', () => {
    expect(categories('src/core/db/console.ts')).toContain('lint/suspicious/noConsole')
    expect(categories('src/core/db/env.ts')).toContain('lint/style/noProcessEnv')
  })

  it('hold in this repository', async () => {
    expect((await lint(root, 'src')).filter(({ category }) => category === IMPORTS)).toEqual([])
  })
})

function numbered(path: string, index: number, form: number): string {
  return path.replace(/(plan-)?[^/]+$/, `$1case-${index}-${form}.ts`)
}

function restricted(path: string): boolean {
  return categories(path).includes(IMPORTS)
}

function categories(path: string): string[] {
  return findings.filter((finding) => finding.path === path).map(({ category }) => category)
}

function write(path: string, text: string): void {
  const absolute = join(folder, path)
  mkdirSync(dirname(absolute), { recursive: true })
  writeFileSync(absolute, text)
}

function lint(cwd: string, ...paths: string[]): Promise<{ path: string; category: string }[]> {
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')
  const args = [biome, 'lint', '--reporter=json', '--max-diagnostics=none', ...paths]
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd, maxBuffer: 1 << 26 }, (_error, stdout, stderr) => {
      try {
        const { diagnostics } = JSON.parse(stdout) as {
          diagnostics: { category: string; location: { path: string | { file: string } } }[]
        }
        resolve(
          diagnostics.map(({ category, location: { path } }) => ({
            category,
            path: typeof path === 'string' ? path : path.file,
          })),
        )
      } catch (cause) {
        reject(new Error(`biome gave no JSON: ${stderr}`, { cause }))
      }
    })
  })
}

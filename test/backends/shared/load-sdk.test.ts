import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadSdk } from '../../../src/backends/shared/load-sdk.ts'

const run = promisify(execFile)
const src = fileURLToPath(new URL('../../../src/', import.meta.url))
let folder: string

/** The backends where no SDK can be found. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walsync-no-sdk-'))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await mkdir(join(folder, 'src'))
  await cp(join(src, 'core'), join(folder, 'src', 'core'), { recursive: true })
  await cp(join(src, 'backends'), join(folder, 'src', 'backends'), { recursive: true })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function openWithoutSdk(backend: string, url: string): Promise<Record<string, unknown>> {
  const script = `
    const { provider } = await import('./src/backends/${backend}/index.ts')
    try {
      await provider.open(new URL('${url}'), {}, {})
      console.log(JSON.stringify({ opened: true }))
    } catch (error) {
      console.log(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }))
    }`
  const args = ['--input-type=module', '--eval', script]
  const { stdout } = await run(process.execPath, args, { cwd: folder })
  return JSON.parse(stdout) as Record<string, unknown>
}

describe('an SDK that is not installed', () => {
  it.each([
    ['s3', 's3://bucket', '@aws-sdk/client-s3'],
    ['gcs', 'gs://bucket', '@google-cloud/storage'],
    ['azure', 'az://account@container', '@azure/storage-blob'],
  ])('%s names the line that installs it', async (backend, url, packageName) => {
    const error = await openWithoutSdk(backend, url)
    expect(error.code).toBe('Unsupported')
    expect(error.message).toContain(packageName)
    expect(error.hint).toBe(`Install it: npm install ${packageName}`)
  })

  it('is distinguished from a package that the SDK itself is missing', async () => {
    const missing = (name: string) => async () => {
      throw Object.assign(new Error(`Cannot find package '${name}' imported from /x`), {
        code: 'ERR_MODULE_NOT_FOUND',
      })
    }
    await expect(loadSdk('sdk', 'X', missing('sdk'))).rejects.toMatchObject({ code: 'Unsupported' })
    await expect(loadSdk('sdk', 'X', missing('part-of-sdk'))).rejects.toMatchObject({
      code: 'ERR_MODULE_NOT_FOUND',
    })
  })
})
